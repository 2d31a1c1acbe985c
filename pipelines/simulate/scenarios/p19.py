"""P19: one producer's telemetry is lost, in part or whole; its users are served as ever."""

from pipelines.simulate.scenario import Scenario, Truth, put

_PART = (0.25, 1.0, 1.0)

SCENARIO = Scenario(
    id="P19",
    title="Telemetry loss of one producer",
    truth=Truth(("telemetry_fault",), ("operations",), ("fix_telemetry",)),
    at="producer",
    duration_s=1800,
    depth=0.0,
    root=("producer",),
    silent=({"symptom": "performance_degradation"}, {"symptom": "deployment_failure"}),
    effects=(
        put("requests", "lost", True, share=_PART),
        put("engine", "lost", True, share=_PART),
        put("beats", "lost", True, share=_PART),
    ),
)
