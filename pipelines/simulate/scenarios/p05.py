"""P05: a noisy neighbour on the host: tokens slow down in waves, GPUs run warm, clocks are fine."""

from pipelines.simulate.scenario import Scenario, Truth, scale, shift

SCENARIO = Scenario(
    id="P05",
    title="Noisy neighbour on a shared host",
    truth=Truth(("performance_degradation",), ("operations",), ("reroute", "drain_node")),
    at="replica",
    duration_s=5400,
    shape="intermittent",
    period_s=420,
    on_s=180,
    depth=(0.1, 0.25, 0.4),
    root=("gpu", "node", "replica"),
    silent=({"signal": ["hw.errors", "hw.gpu.nvlink_errors", "hw.gpu.pcie_replays", "hw.gpu.sm_clock"]},),
    effects=(
        scale("requests", "tpot", (1.3, 1.7, 2.4), share=0.6),
        shift("gpu", "temperature_c", (2.0, 4.0, 7.0)),
        scale("gpu", "power_w", (1.04, 1.08, 1.14)),
    ),
)
