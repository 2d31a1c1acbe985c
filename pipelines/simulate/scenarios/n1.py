"""N1: the daily cycle, steeper than on other days: load and topic mix swell and subside over hours."""

from pipelines.simulate.scenario import Scenario, Surge

SCENARIO = Scenario(
    id="N1",
    title="A busy part of the daily cycle",
    truth=None,
    duration_s=4 * 3600,
    surge=Surge((1.2, 1.4, 1.7), hump=True),
)
