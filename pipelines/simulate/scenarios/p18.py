"""P18: the load balancer sends most requests to a few replicas: they queue, the others idle."""

from pipelines.simulate.scenario import Move, Scenario, Truth, scale, shift, toward

SCENARIO = Scenario(
    id="P18",
    title="Load-balancer skew",
    truth=Truth(("performance_degradation",), ("operations",), ("reroute",)),
    at="servers",
    depth=(0.1, 0.25, 0.4),
    root=("replica", "route"),
    unconfined=("replica", "node", "region", "gpu_model", "tp_group", "gpu"),
    silent=({"action": "add_capacity"},),
    move=Move("here", (0.3, 0.5, 0.7)),
    effects=(
        scale("requests", "queue", (4.0, 10.0, 25.0)),
        shift("engine", "requests_waiting", (1.0, 4.0, 10.0)),
        shift("engine", "kv_cache_usage", (0.15, 0.3, 0.45)),
        toward("gpu", "utilization", (0.85, 0.95, 0.99)),
        toward("gpu", "utilization", (0.45, 0.3, 0.2), peers=True),
    ),
)
