"""P10: users start to write in another language: prompts move, answers follow, nothing is broken."""

from pipelines.simulate.scenario import Scenario, Truth, put, shift

SCENARIO = Scenario(
    id="P10",
    title="Language shift of the input",
    truth=Truth(("input_shift",), ("none",), ("re_evaluate", "inform"), ("robustness",)),
    duration_s=5400,
    shape="ramp",
    ramp_s=900,
    share=(0.12, 0.33, 0.55),
    sticky=True,
    grows="share",
    depth=0.0,
    silent=({},),
    min_severity="info",
    effects=(put("requests", "language", "ja"), shift("requests", "entropy", (0.01, 0.03, 0.05))),
)
