"""N7: nothing happens: the latencies are as heavy-tailed as they always are."""

from pipelines.simulate.scenario import Scenario

SCENARIO = Scenario(id="N7", title="Heavy-tailed latency noise", truth=None, duration_s=3600)
