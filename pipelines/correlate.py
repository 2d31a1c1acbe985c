"""``driftline correlate``: one pass of correlation over the store, or one every so often."""

import time
from collections.abc import Callable

from operators.clickhouse import Store
from operators.correlation.engine import correlate
from schemas.outputs import Incident


def correlate_once(store: Store) -> list[Incident]:
    """One pass; the incident versions that are new, already written to the ``incidents`` table."""
    return correlate(store)


def correlate_every(store: Store, interval_s: float, tell: Callable[[list[Incident]], None]) -> None:
    """Passes until interrupted; ``tell`` gets the new versions of each."""
    while True:
        tell(correlate_once(store))
        time.sleep(interval_s)
