"""P09: the provider swaps the model behind an unchanged name, unannounced, for every tenant at once."""

from pipelines.simulate.scenario import Scenario, Truth, put, scale, shift

SCENARIO = Scenario(
    id="P09",
    title="Silent provider version swap",
    truth=Truth(("invalid_inference",), ("model",), ("pin_version", "re_evaluate")),
    service="assist-api",
    duration_s=5400,
    depth=(0.2, 0.4, 0.6),
    root=("request_model", "provider"),
    silent=({"symptom": "input_shift"},),
    effects=(
        shift("requests", "output_shift", (0.3, 0.6, 1.0)),
        scale("requests", "output_tokens", (0.9, 0.75, 0.55)),
        scale("requests", "tpot", (0.95, 0.9, 0.85)),
        put("requests", "refused", 1.0, share=(0.01, 0.03, 0.08)),
        put("requests", "parse_failed", 1.0, share=(0.01, 0.04, 0.1)),
        shift("service", "canary_score", (-0.04, -0.12, -0.25)),
        shift("service", "negative", (0.01, 0.04, 0.1)),
    ),
)
