"""Correlation beside a run: every so often, and once at the end."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from operators.clickhouse import Store
from operators.meters import CORRELATED, INCIDENTS, UNMETERED, Meters
from operators.outage import wait_out
from operators.store_errors import SinkError, StoreError
from pipelines.correlate import correlate_once
from pipelines.engines.outputs import Outputs
from schemas.outputs import Incident

log = logging.getLogger(__name__)


class Correlator:
    """Turns the store's new events into incidents, in a thread of its own.

    A store that is away is waited for. A pass that is refused is logged and made up for by the next, and what
    a topic did not take is sent again with it; only the last one, `finish`, must succeed.

    Args:
        store: open and migrated.
        outputs: delivers new versions of incidents.
        interval_s: between two passes.
        here: says, where several processes run, whether it is this one's turn.
        stop: set when the run is to end; then `finish` waits for no store.
        meters: told of incidents, of passes, and of a store that is away.
    """

    def __init__(
        self,
        store: Store,
        outputs: Outputs,
        interval_s: float,
        here: Callable[[], bool] = lambda: True,
        stop: threading.Event | None = None,
        meters: Meters = UNMETERED,
    ) -> None:
        self._store = store
        self._outputs = outputs
        self._interval_s = interval_s
        self._asked = stop or threading.Event()
        self._meters = meters
        self._here = here
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="correlate", daemon=True)
        self.incidents: dict[str, Incident] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def finish(self) -> None:
        """The last pass; raises what it fails with."""
        self._stop.set()
        self._thread.join()
        wait_out(self._pass, self._asked, "correlation", self._meters)

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            if not self._here():
                continue
            try:
                wait_out(self._pass, self._stop, "correlation", self._meters)
            except (StoreError, SinkError) as problem:
                log.warning("correlation is put off: %s", problem)

    def _pass(self) -> None:
        changed = correlate_once(self._store)
        self.incidents |= {str(incident.incident_id): incident for incident in changed}
        self._outputs.write_incidents(changed)
        for incident in changed:
            if incident.version == 1:
                self._meters.add(INCIDENTS, 1, incident.severity)
        self._meters.set(CORRELATED, round(time.time()))
