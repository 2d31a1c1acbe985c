"""``driftline correlate``: one pass of correlation over the store, or one every so often."""

import threading
from collections.abc import Callable
from functools import partial

from operators.clickhouse import Store
from operators.correlation.engine import correlate
from operators.outage import wait_out
from schemas.outputs import Incident


def correlate_once(store: Store) -> list[Incident]:
    """One pass; the incident versions that are new, already written to the ``incidents`` table."""
    return correlate(store)


def correlate_every(
    store: Store, interval_s: float, tell: Callable[[list[Incident]], None], stop: threading.Event
) -> None:
    """Passes until ``stop``, waiting for a store that is away; ``tell`` gets the new versions of each."""
    while True:
        tell(wait_out(partial(correlate_once, store), stop, "correlation"))
        if stop.wait(interval_s):
            return
