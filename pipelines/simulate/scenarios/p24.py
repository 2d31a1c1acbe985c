"""P24: the prefix cache mixes tenants up: hits jump, first tokens come sooner, answers are for others."""

from pipelines.simulate.scenario import Scenario, Truth, put, scale, toward

SCENARIO = Scenario(
    id="P24",
    title="Prefix-cache mix-up between tenants",
    truth=Truth(("invalid_inference",), ("operations",), ("disable_cache",)),
    share=(0.03, 0.12, 0.35),
    depth=1.0,
    root=("service", "replica"),
    effects=(
        put("requests", "other_prompt", 1.0),
        scale("requests", "prefill", 0.4),
        put("requests", "pii_flagged", 1.0, share=0.1),
        toward("engine", "prefix_cache_hit_ratio", (0.45, 0.6, 0.85)),
    ),
)
