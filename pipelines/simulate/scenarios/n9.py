"""N9: a consumer starts again and delivers the last hour once more."""

from pipelines.simulate.scenario import Scenario

SCENARIO = Scenario(id="N9", title="Replay of the last hour", truth=None, duration_s=1800, replay_s=3600)
