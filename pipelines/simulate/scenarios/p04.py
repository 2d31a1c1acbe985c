"""P04: the KV cache fills and requests are preempted: the tail grows fivefold, the mean hardly."""

from pipelines.simulate.scenario import Scenario, Truth, scale, shift, toward

SCENARIO = Scenario(
    id="P04",
    title="KV-cache exhaustion and preemption",
    truth=Truth(("performance_degradation",), ("operations",), ("add_capacity", "revert_config")),
    shape="ramp",
    ramp_s=300,
    depth=(0.1, 0.2, 0.35),
    silent=({"action": "drain_node"},),
    effects=(
        scale("requests", "input_tokens", (1.1, 1.25, 1.5)),
        scale("requests", "queue", (3.0, 8.0, 20.0)),
        scale("requests", "tpot", (4.0, 5.0, 6.0), share=(0.02, 0.03, 0.05)),
        toward("engine", "kv_cache_usage", (0.96, 0.985, 0.995)),
        shift("engine", "preemption_rate", (0.02, 0.08, 0.3)),
        shift("engine", "requests_waiting", (2.0, 6.0, 18.0)),
        toward("gpu", "utilization", 0.96),
    ),
)
