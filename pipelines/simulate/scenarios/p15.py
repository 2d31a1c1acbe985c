"""P15: one GPU computes wrongly now and then, without any error: strange answers, failed canaries."""

from pipelines.simulate.scenario import Scenario, Truth, put, shift

SCENARIO = Scenario(
    id="P15",
    title="Silent data corruption on one GPU",
    truth=Truth(("invalid_inference",), ("hardware",), ("drain_node",)),
    at="replica",
    duration_s=3 * 3600,
    share=(0.01, 0.04, 0.12),
    depth=0.7,
    root=("gpu", "replica"),
    silent=({"action": "roll_back_build"},),
    effects=(
        put("requests", "output_outlier", (0.5, 0.8, 1.0)),
        shift("engine", "canary_match", (-0.03, -0.08, -0.2)),
    ),
)
