"""How a run is watched from outside: meters for Prometheus, two answers for an orchestrator, a log."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from operators.meters import UNMETERED, Meters
from pipelines.observe.health import Health
from pipelines.observe.recorder import Recorder
from pipelines.observe.server import serve

__all__ = ["Health", "Recorder", "observed", "serve"]

log = logging.getLogger(__name__)


@contextmanager
def observed(address: str | None, stop: threading.Event) -> Iterator[Meters]:
    """Meters of a run, served at ``HOST:PORT`` while it lasts; without an address nothing is recorded.

    Args:
        address: where to listen; port 0 takes a free one, which the log tells.
        stop: set when the run is to end.

    Raises:
        UsageError: nothing can listen there.
    """
    if address is None:
        yield UNMETERED
        return
    recorder = Recorder()
    with serve(address, recorder, Health(recorder, stop)) as where:
        log.info("metrics, health and readiness at %s", where, extra={"url": where})
        yield recorder
