"""P06: an engine hangs: requests keep coming and time out, the few that succeed are as fast as ever."""

from pipelines.simulate.scenario import Scenario, Truth, put, shift, toward

SCENARIO = Scenario(
    id="P06",
    title="Engine hang and timeout storm on one replica",
    truth=Truth(("performance_degradation",), ("operations", "model"), ("restart_replica", "reroute")),
    at="replica",
    duration_s=1800,
    depth=1.0,
    root=("replica",),
    share=(0.4, 0.9, 1.0),
    effects=(
        put("requests", "hang", True),
        toward("gpu", "utilization", (0.8, 1.0, 0.0)),
        shift("engine", "requests_waiting", (2.0, 8.0, 20.0)),
    ),
)
