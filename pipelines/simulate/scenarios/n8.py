"""N8: the monitoring side changes its embedding model, announced, with a new embedder version."""

from pipelines.simulate.scenario import Change, Scenario, put

SCENARIO = Scenario(
    id="N8",
    title="Embedder upgrade, announced",
    truth=None,
    duration_s=3 * 3600,
    change=Change(
        "embedder", "mini-embed-2 replaces mini-embed-1", "mini-embed-1", "mini-embed-2", expected=True
    ),
    effects=(put("requests", "embedder_version", "mini-embed-2"),),
)
