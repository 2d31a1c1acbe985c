"""N3: autoscaling: two replicas join, cold for two minutes, take their share, and are drained again."""

from pipelines.simulate.scenario import Move, Scenario, scale, shift

SCENARIO = Scenario(
    id="N3",
    title="Autoscale up and down",
    truth=None,
    duration_s=3600,
    share=0.2,
    move=Move("spare", 1.0),
    effects=(
        scale("requests", "prefill", 4.0, until=1 / 30),
        shift("service", "replicas_desired", 2.0),
        shift("service", "replicas_ready", 2.0, delay_s=90),
    ),
)
