"""P14: an optimised kernel is wrong on one GPU model: answers diverge now and then, others are clean."""

from pipelines.simulate.scenario import Change, Scenario, Truth, shift

SCENARIO = Scenario(
    id="P14",
    title="Kernel bug on one GPU model",
    truth=Truth(("invalid_inference",), ("model", "hardware"), ("roll_back_build",)),
    at="gpu_model",
    duration_s=5400,
    share=(0.15, 0.35, 0.7),
    depth=(0.3, 0.5, 0.7),
    root=("gpu_model", "service_version"),
    silent=({"gpu_model": "others"},),
    change=Change("deployment", "approximate top-k kernel"),
    effects=(
        shift("requests", "output_shift", (0.6, 0.9, 1.3)),
        shift("requests", "top1_probability", (-0.04, -0.1, -0.2)),
        shift("requests", "entropy", (0.05, 0.15, 0.3)),
        shift("engine", "canary_match", (-0.05, -0.2, -0.5), share=0.5),
    ),
)
