"""P08: a wrong chat template: answers run on to the length limit; longer, repetitive, and off topic."""

from pipelines.simulate.scenario import Change, Scenario, Truth, put, scale, shift

SCENARIO = Scenario(
    id="P08",
    title="Wrong chat template",
    truth=Truth(("invalid_inference",), ("operations",), ("revert_prompt",)),
    depth=(0.3, 0.5, 0.8),
    root=("prompt_version", "service"),
    names={"prompt_version": "p8"},
    silent=({"action": "drain_node"},),
    change=Change("prompt", "chat template p7 to p8", "p7", "p8", {"prompt_version": "p8"}),
    effects=(
        put("requests", "prompt_version", "p8"),
        put("requests", "finish_reason", "length", share=(0.12, 0.3, 0.58)),
        scale("requests", "output_tokens", (1.4, 2.0, 3.0)),
        shift("requests", "repetition_ratio", (0.03, 0.1, 0.25)),
        shift("requests", "input_tokens", (20.0, 40.0, 60.0)),
        shift("requests", "output_shift", (0.3, 0.6, 1.0)),
    ),
)
