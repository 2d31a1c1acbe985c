"""P21: a rollout never gets healthy: its replicas crash, refuse requests, and the others fill up."""

from pipelines.simulate.scenario import Change, Scenario, Truth, put, scale, shift

SCENARIO = Scenario(
    id="P21",
    title="Rollout that never becomes healthy",
    truth=Truth(("deployment_failure",), ("operations", "model"), ("roll_back_build", "revert_config")),
    at="servers",
    share=(0.3, 0.6, 0.95),
    depth=1.0,
    root=("service_version", "replica"),
    names={"service_version": ["v2", "v1"]},
    unconfined=("node", "region", "gpu_model", "tp_group", "gpu", "replica"),
    silent=({"symptom": "invalid_inference"},),
    change=Change("deployment", "build v2", "v1", "v2", {"service_version": "v2"}),
    effects=(
        put("requests", "service_version", "v2"),
        put("requests", "status", "error"),
        put("requests", "error_type", "connection_refused"),
        shift("engine", "restart_rate", (0.005, 0.01, 0.02)),
        shift("service", "replicas_ready", (-1.0, -2.0, -2.0)),
        shift("engine", "kv_cache_usage", (0.05, 0.1, 0.2), peers=True),
        scale("gpu", "utilization", (0.7, 0.4, 0.1)),
    ),
)
