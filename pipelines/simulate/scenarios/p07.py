"""P07: a badly quantised build goes to part of the replicas: faster, less certain, a little off."""

from pipelines.simulate.scenario import Change, Scenario, Truth, put, scale, shift

SCENARIO = Scenario(
    id="P07",
    title="Bad quantised model rollout",
    truth=Truth(("invalid_inference",), ("model",), ("roll_back_build",)),
    at="servers",
    duration_s=7200,
    depth=(0.15, 0.3, 0.5),
    root=("service_version", "quantization"),
    names={"service_version": ["v2", "v1"], "quantization": ["int4", "fp8"]},
    silent=({"symptom": "performance_degradation"},),
    change=Change("deployment", "build v2 with int4 weights", "v1", "v2", {"service_version": "v2"}),
    effects=(
        put("requests", "service_version", "v2"),
        put("requests", "quantization", "int4"),
        scale("requests", "tpot", (0.8, 0.75, 0.7)),
        shift("requests", "entropy", (0.06, 0.15, 0.3)),
        shift("requests", "top1_probability", (-0.02, -0.05, -0.1)),
        shift("requests", "output_shift", (0.2, 0.4, 0.7)),
        scale("requests", "output_tokens", (1.05, 1.12, 1.25)),
        shift("engine", "canary_match", (-0.1, -0.3, -0.6)),
        shift("service", "negative", (0.01, 0.03, 0.06), since=0.3),
    ),
)
