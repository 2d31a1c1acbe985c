"""N3: autoscaling: two replicas join, cold for two minutes, take their share, and are drained again."""

from pipelines.simulate.scenario import Move, Scenario, shift

SCENARIO = Scenario(
    id="N3",
    title="Autoscale up and down",
    truth=None,
    duration_s=3600,
    move=Move("spare", 0.2),
    effects=(
        shift("service", "replicas_desired", 2.0),
        shift("service", "replicas_ready", 2.0, delay_s=90),
    ),
)
