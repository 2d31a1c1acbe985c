"""Waiting for a store or brokers that are away: nothing is dropped, nothing that was read counts as done."""

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from operators.meters import SINK_AWAY, STORE_AWAY, TURN, UNMETERED, Meter, Meters
from operators.store_errors import SinkAway, StoreAway

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Between two tries, beside the waits within each.
PAUSE_S = 1.0
TELL_EVERY_S = 30.0


class Awaited(NamedTuple):
    """What may be away: its name, the error that says so, and the meter of for how long."""

    name: str
    away: type[StoreAway] | type[SinkAway]
    meter: Meter


STORE = Awaited("the store", StoreAway, STORE_AWAY)
BROKERS = Awaited("the output's broker", SinkAway, SINK_AWAY)


def wait_out(
    call: Callable[[], T],
    stop: threading.Event,
    waits: str,
    meters: Meters = UNMETERED,
    awaited: Awaited = STORE,
) -> T:
    """What ``call`` returns once what it needs is there again, however long that takes.

    A refusal that will never succeed is raised at once; so is the absence when ``stop`` is set.

    Args:
        call: safe to make again, such as an insert under its token.
        stop: set when the run is to end.
        waits: what waits meanwhile, for the log.
        meters: told for how long it has been away.
        awaited: what the call needs.

    Raises:
        StoreAway, SinkAway: it was still away when the run was to end.
        StoreError, SinkError: it refuses.
    """
    began = time.monotonic()
    told = -TELL_EVERY_S
    while True:
        try:
            answer = call()
        except awaited.away as problem:
            away = time.monotonic() - began
            meters.set(awaited.meter, max(1, round(away)))
            meters.set(TURN, round(time.time()), "storing")
            if stop.is_set():  # one that is told to stop while it pauses tries once more
                raise awaited.away(
                    f"{problem}; it was away for {away:.0f} s when the run was to stop. What waited is not "
                    "in, and is read again by the next run"
                ) from problem
            if away - told >= TELL_EVERY_S:
                fields = {"away_s": round(away, 1), "waiting": waits}
                message = "%s has been away for %.0f s, waiting: %s; %s"
                log.warning(message, awaited.name, away, waits, problem, extra=fields)
                told = away
            stop.wait(PAUSE_S)
        else:
            meters.set(awaited.meter, 0)
            if told >= 0:
                away = time.monotonic() - began
                fields = {"away_s": round(away, 1)}
                log.warning("%s is back after %.0f s", awaited.name, away, extra=fields)
            return answer
