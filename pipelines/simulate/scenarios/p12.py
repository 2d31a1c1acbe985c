"""P12: one kind of device now and then puts a foreign script into its answers."""

from pipelines.simulate.scenario import Change, Scenario, Truth, put

SCENARIO = Scenario(
    id="P12",
    title="Wrong-script tokens on one GPU model",
    truth=Truth(("invalid_inference",), ("model", "operations"), ("revert_config", "roll_back_build")),
    at="gpu_model",
    duration_s=5400,
    share=(0.003, 0.008, 0.03),
    depth=0.8,
    root=("gpu_model", "region", "provider"),
    silent=({"gpu_model": "others"},),
    change=Change("config", "sampler runtime flags"),
    effects=(
        put("requests", "alien", (0.02, 0.06, 0.15)),
        put("requests", "output_outlier", (0.4, 0.6, 0.9)),
        put("requests", "parse_failed", 1.0, share=0.5),
    ),
)
