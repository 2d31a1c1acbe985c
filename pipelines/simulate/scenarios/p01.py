"""P01: thermal throttling of one GPU; its replica slows down while utilisation stays high."""

from pipelines.simulate.scenario import Scenario, Truth, put, scale, shift, toward

SCENARIO = Scenario(
    id="P01",
    title="GPU thermal throttling on one device",
    truth=Truth(("performance_degradation",), ("hardware",), ("drain_node",)),
    at="gpu",
    shape="ramp",
    ramp_s=600,
    depth=(0.15, 0.3, 0.5),
    root=("gpu", "replica", "node", "tp_group"),
    silent=({"symptom": "invalid_inference"},),
    effects=(
        scale("requests", "tpot", (1.2, 1.4, 1.6)),
        toward("gpu", "temperature_c", (82.0, 86.0, 88.0)),
        toward("gpu", "memory_temperature_c", (86.0, 90.0, 93.0)),
        scale("gpu", "sm_clock_hz", (0.85, 0.72, 0.6)),
        shift("gpu", "thermal_rate", (0.05, 0.25, 0.6)),
        toward("gpu", "utilization", 0.985),
        scale("gpu", "power_w", (0.95, 0.88, 0.8)),
        put("gpu", "throttle_reasons", "hw_thermal_slowdown", delay_s=300),
    ),
)
