"""P03: a degraded NVLink: tensor-parallel tokens slow down while both GPUs wait for each other."""

from pipelines.simulate.scenario import Scenario, Truth, scale, shift

SCENARIO = Scenario(
    id="P03",
    title="NVLink and PCIe degraded",
    truth=Truth(("performance_degradation",), ("hardware",), ("drain_node", "reroute")),
    at="replica",
    depth=(0.1, 0.25, 0.4),
    root=("gpu", "node", "tp_group"),
    silent=({"service": "code-api"},),
    effects=(
        scale("requests", "tpot", (1.12, 1.3, 1.5)),
        shift("gpu", "nvlink_rate", (0.05, 0.5, 3.0)),
        shift("gpu", "pcie_rate", (0.02, 0.1, 0.5)),
        scale("gpu", "utilization", (0.92, 0.82, 0.7)),
        scale("gpu", "power_w", (0.95, 0.88, 0.8)),
    ),
)
