"""P26: the sampling temperature goes up: answers scatter around where they were, lengths too."""

from pipelines.simulate.scenario import Change, Scenario, Truth, put, scale, shift

SCENARIO = Scenario(
    id="P26",
    title="Decode parameters changed",
    truth=Truth(("invalid_inference",), ("operations",), ("revert_config",)),
    depth=(0.1, 0.25, 0.4),
    root=("decode_params_hash", "service"),
    names={"decode_params_hash": ["d-9c22", "d-3f1a"]},
    change=Change("config", "sampling temperature", "d-3f1a", "d-9c22", {"decode_params_hash": "d-9c22"}),
    effects=(
        put("requests", "decode_params_hash", "d-9c22"),
        scale("requests", "entropy", (1.15, 1.5, 2.2)),
        shift("requests", "top1_probability", (-0.03, -0.08, -0.18)),
        scale("requests", "output_spread", (1.2, 1.6, 2.2)),
        scale("requests", "output_tokens", 1.6, share=0.25),
        scale("requests", "output_tokens", 0.6, share=0.25),
    ),
)
