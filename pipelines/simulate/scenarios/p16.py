"""P16: answers drift away slowly, too slowly for any short window to notice."""

from pipelines.simulate.scenario import Scenario, Truth, shift

SCENARIO = Scenario(
    id="P16",
    title="Gradual drift of the answers",
    truth=Truth(
        ("invalid_inference", "input_shift"),
        ("model", "none"),
        ("re_evaluate",),
        ("reliability", "robustness", "undetermined"),
    ),
    duration_s=12 * 3600,
    shape="ramp",
    depth=0.02,
    root=("service", "request_model"),
    min_severity="info",
    effects=(shift("requests", "output_shift", (0.3, 0.6, 1.0)),),
)
