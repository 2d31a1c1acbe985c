"""P17: one tenant sends ten times as much within two minutes; everyone waits."""

from pipelines.simulate.scenario import Scenario, Surge, Truth, scale, shift

SCENARIO = Scenario(
    id="P17",
    title="Tenant burst",
    truth=Truth(("performance_degradation",), ("operations",), ("rate_limit_tenant", "add_capacity")),
    at="tenant",
    duration_s=1800,
    shape="ramp",
    ramp_s=120,
    depth=(0.1, 0.2, 0.35),
    root=("tenant_hash", "service"),
    silent=({"action": "drain_node"}, {"action": "roll_back_build"}),
    surge=Surge((5.0, 10.0, 20.0)),
    effects=(
        scale("requests", "queue", (2.0, 6.0, 15.0)),
        shift("engine", "kv_cache_usage", (0.1, 0.2, 0.3)),
        shift("engine", "requests_waiting", (1.0, 3.0, 8.0)),
    ),
)
