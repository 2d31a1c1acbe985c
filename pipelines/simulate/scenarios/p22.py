"""P22: a config change leaves too little memory: allocations fail, the cache is full at ordinary load."""

from pipelines.simulate.scenario import Change, Scenario, Truth, put, scale, shift, toward

SCENARIO = Scenario(
    id="P22",
    title="GPU memory short after a config change",
    truth=Truth(
        ("deployment_failure", "performance_degradation"), ("operations",), ("revert_config", "add_capacity")
    ),
    depth=(0.3, 0.4, 0.6),
    root=("service", "replica"),
    silent=({"action": "rate_limit_tenant"},),
    change=Change("config", "larger activation workspace"),
    effects=(
        put("requests", "status", "error", share=(0.02, 0.06, 0.2)),
        put("requests", "error_type", "out_of_memory"),
        scale("requests", "queue", (3.0, 10.0, 25.0)),
        toward("engine", "kv_cache_usage", (0.9, 0.96, 0.99)),
        shift("engine", "requests_waiting", (1.0, 4.0, 12.0)),
        shift("engine", "preemption_rate", (0.01, 0.04, 0.1)),
    ),
)
