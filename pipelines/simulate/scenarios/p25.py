"""P25: retrieval fails: prompts lose their context, answers turn short and general."""

from pipelines.simulate.scenario import Scenario, Truth, put, scale, shift

SCENARIO = Scenario(
    id="P25",
    title="Retrieval dependency failure",
    truth=Truth(("invalid_inference",), ("operations",), ("revert_config", "reroute", "inform")),
    depth=(0.2, 0.4, 0.6),
    silent=({"action": "roll_back_build"},),
    effects=(
        scale("requests", "input_tokens", (0.75, 0.5, 0.3)),
        scale("requests", "output_tokens", (0.9, 0.7, 0.5)),
        shift("requests", "prompt_shift", (0.2, 0.5, 0.9)),
        shift("requests", "output_shift", (0.2, 0.5, 0.9)),
        put("requests", "status", "error", share=(0.005, 0.02, 0.04)),
        put("requests", "error_type", "dependency"),
    ),
)
