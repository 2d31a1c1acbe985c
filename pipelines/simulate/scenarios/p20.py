"""P20: the clock of one host is wrong: its samples come from the past or the future."""

from pipelines.simulate.scenario import Scenario, Truth, shift

_OFF_S = (-75.0, 90.0, -3600.0)

SCENARIO = Scenario(
    id="P20",
    title="Clock skew of one host",
    truth=Truth(("telemetry_fault",), ("operations",), ("fix_telemetry",)),
    at="producer",
    duration_s=1800,
    depth=0.0,
    root=("producer", "node"),
    silent=({"symptom": "performance_degradation"}, {"symptom": "invalid_inference"}),
    effects=(
        shift("requests", "clock_s", _OFF_S),
        shift("engine", "clock_s", _OFF_S),
        shift("beats", "clock_s", _OFF_S),
        shift("gpu", "clock_s", _OFF_S),
    ),
)
