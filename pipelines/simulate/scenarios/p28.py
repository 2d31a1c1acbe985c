"""P28: the KV cache runs full again and again, half an hour at a time."""

from dataclasses import replace

from pipelines.simulate.scenario import Truth
from pipelines.simulate.scenarios import p04

SCENARIO = replace(
    p04.SCENARIO,
    id="P28",
    title="Recurrent KV-cache exhaustion",
    truth=Truth(("performance_degradation",), ("operations",), ("add_capacity",)),
    shape="intermittent",
    ramp_s=0.0,
    duration_s=2.5 * 4 * 3600.0,
    period_s=4 * 3600.0,
    on_s=1800.0,
)
