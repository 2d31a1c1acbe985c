"""The catalogue of scenarios: one file each, one line each here."""

from pipelines.simulate.scenario import Scenario
from pipelines.simulate.scenarios import n1, n3, n7, p01, p04, p06, p08, p09, p10, p12

_MODULES = (p01, p04, p06, p08, p09, p10, p12, n1, n3, n7)

#: Every scenario by id.
CATALOGUE: dict[str, Scenario] = {module.SCENARIO.id: module.SCENARIO for module in _MODULES}
