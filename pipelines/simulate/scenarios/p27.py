"""P27: three faults on three platforms overlap: they stay three incidents."""

from pipelines.simulate.scenario import Scenario, Truth

SCENARIO = Scenario(
    id="P27",
    title="Three overlapping faults",
    truth=Truth(("invalid_inference",), ("operations",), ("revert_config",)),
    parts=(("P11", 0.0), ("P12", 900.0), ("P14", 1800.0)),
)
