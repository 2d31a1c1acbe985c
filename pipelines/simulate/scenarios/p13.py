"""P13: NaNs on one replica: answers collapse into one repeated token until the length limit."""

from pipelines.simulate.scenario import Scenario, Truth, put, scale, shift, toward

SCENARIO = Scenario(
    id="P13",
    title="NaN and endless repetition on one replica",
    truth=Truth(("invalid_inference",), ("model", "hardware"), ("restart_replica", "drain_node")),
    at="replica",
    share=(0.08, 0.3, 0.8),
    depth=1.0,
    root=("replica", "gpu"),
    effects=(
        toward("requests", "repetition_ratio", 0.97),
        toward("requests", "entropy", 0.01),
        toward("requests", "top1_probability", 0.995),
        put("requests", "finish_reason", "length"),
        scale("requests", "output_tokens", 2.0),
        put("requests", "output_collapse", 0.95),
        shift("requests", "nan_count", 40.0),
    ),
)
