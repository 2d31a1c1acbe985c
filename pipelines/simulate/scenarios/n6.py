"""N6: a node is drained for maintenance, as announced."""

from pipelines.simulate.scenario import Change, Move, Scenario, put, shift

SCENARIO = Scenario(
    id="N6",
    title="Planned drain",
    truth=None,
    at="replica",
    duration_s=3600,
    change=Change("maintenance", "kernel update of the node", expected=True, reverted=False, lead_s=120),
    move=Move("away", 1.0),
    effects=(
        put("engine", "lost", True),
        put("beats", "lost", True),
        put("gpu", "lost", True),
        shift("service", "replicas_ready", -1.0),
        shift("service", "replicas_desired", -1.0),
    ),
)
