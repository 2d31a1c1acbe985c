"""N5: a product launch: legitimate growth, with capacity added as it comes."""

from pipelines.simulate.scenario import Move, Scenario, Surge, shift

SCENARIO = Scenario(
    id="N5",
    title="Launch with gradual growth",
    truth=None,
    duration_s=6 * 3600,
    shape="ramp",
    surge=Surge((1.5, 2.0, 3.0), served=True),
    move=Move("spare", 0.2),
    effects=(shift("service", "replicas_desired", 2.0), shift("service", "replicas_ready", 2.0)),
)
