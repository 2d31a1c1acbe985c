"""N2: an announced upgrade to a build that answers the same."""

from pipelines.simulate.scenario import Change, Scenario, put

SCENARIO = Scenario(
    id="N2",
    title="Announced upgrade, equally good",
    truth=None,
    duration_s=5400,
    change=Change(
        "model_swap", "build v2, same weights", "v1", "v2", {"service_version": "v2"}, expected=True
    ),
    effects=(put("requests", "service_version", "v2"),),
)
