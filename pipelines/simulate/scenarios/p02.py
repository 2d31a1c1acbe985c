"""P02: GPU memory wears out: corrected errors rise for hours, rows are remapped, then the replica stops."""

from pipelines.simulate.scenario import Scenario, Truth, put, scale, shift

SCENARIO = Scenario(
    id="P02",
    title="ECC errors, row remapping, then a fault",
    truth=Truth(("performance_degradation", "deployment_failure"), ("hardware",), ("drain_node",)),
    at="gpu",
    duration_s=3 * 3600,
    shape="ramp",
    ramp_s=2 * 3600,
    depth=(0.2, 0.4, 0.6),
    root=("gpu", "replica", "node"),
    silent=({"replica": "others"},),
    effects=(
        shift("gpu", "sbe_rate", (0.02, 0.08, 0.3)),
        put("gpu", "remap_rate", 0.01, since=0.6),
        put("gpu", "xid", 63.0, since=0.6, until=0.8),
        put("gpu", "xid", 48.0, since=0.8),
        shift("gpu", "dbe_rate", 0.01, since=0.8),
        scale("requests", "tpot", (2.0, 3.0, 4.0), share=(0.03, 0.06, 0.12), since=0.3),
        put("requests", "hang", True, share=(0.7, 0.95, 1.0), since=0.85),
    ),
)
