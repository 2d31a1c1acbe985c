"""P11: after a load-balancer change some sessions stick to the long-context server, which answers worse."""

from pipelines.simulate.scenario import Change, Move, Scenario, Truth, scale, shift

SCENARIO = Scenario(
    id="P11",
    title="Sticky misrouting to the long-context server",
    truth=Truth(("invalid_inference",), ("operations",), ("revert_config", "reroute")),
    at="route",
    duration_s=5400,
    share=(0.02, 0.08, 0.16),
    sticky=True,
    depth=(0.3, 0.5, 0.7),
    root=("route", "replica"),
    change=Change("route", "load balancer: weighted hashing", sets={"route": "long"}),
    move=Move("long_context", 1.0),
    effects=(shift("requests", "output_shift", (0.5, 0.8, 1.2)), scale("requests", "prefill", 1.3)),
)
