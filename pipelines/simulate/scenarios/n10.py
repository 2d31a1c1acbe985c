"""N10: a service of three requests an hour: nothing happens, and there is little to tell it by."""

from pipelines.simulate.scenario import Scenario

SCENARIO = Scenario(id="N10", title="Tiny service", truth=None, service="legal-api", duration_s=6 * 3600)
