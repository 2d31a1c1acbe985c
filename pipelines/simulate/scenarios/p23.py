"""P23: the safety filter turns strict: refusals multiply, all alike; latency looks better than ever."""

from pipelines.simulate.scenario import Change, Scenario, Truth, put, scale

SCENARIO = Scenario(
    id="P23",
    title="Safety filter refuses too much",
    truth=Truth(("invalid_inference",), ("model", "operations"), ("roll_back_build", "revert_config")),
    share=(0.06, 0.2, 0.45),
    depth=0.9,
    root=("service_version", "service"),
    change=Change("config", "safety filter threshold"),
    effects=(
        put("requests", "refused", 1.0),
        put("requests", "finish_reason", "content_filter"),
        scale("requests", "output_tokens", 0.2),
        put("requests", "output_collapse", 0.7),
    ),
)
