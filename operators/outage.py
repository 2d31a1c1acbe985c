"""Waiting for a store that is away: nothing is dropped, and nothing that was read counts as done."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from operators.meters import STORE_AWAY, TURN, UNMETERED, Meters
from operators.store_errors import StoreAway

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Between two tries, beside the waits within each.
PAUSE_S = 1.0
TELL_EVERY_S = 30.0


def wait_out(call: Callable[[], T], stop: threading.Event, waits: str, meters: Meters = UNMETERED) -> T:
    """What ``call`` returns once the store is there again, however long that takes.

    A refusal that will never succeed is raised at once; so is the store's absence when ``stop`` is set.

    Args:
        call: safe to make again, such as an insert under its token.
        stop: set when the run is to end.
        waits: what waits meanwhile, for the log.
        meters: told for how long the store has been away.

    Raises:
        StoreAway: the store was still away when the run was to end.
        StoreError: the store refuses.
    """
    began = time.monotonic()
    told = -TELL_EVERY_S
    while True:
        try:
            answer = call()
        except StoreAway as problem:
            away = time.monotonic() - began
            meters.set(STORE_AWAY, max(1, round(away)))
            meters.set(TURN, round(time.time()), "storing")
            if stop.is_set():
                raise StoreAway(
                    f"{problem}; it was away for {away:.0f} s when the run was to stop. What waited is not "
                    "in, and is read again by the next run"
                ) from problem
            if away - told >= TELL_EVERY_S:
                fields = {"away_s": round(away, 1), "waiting": waits}
                log.warning(
                    "the store has been away for %.0f s, waiting: %s; %s", away, waits, problem, extra=fields
                )
                told = away
            stop.wait(PAUSE_S)
        else:
            meters.set(STORE_AWAY, 0)
            if told >= 0:
                away = time.monotonic() - began
                log.warning("the store is back after %.0f s", away, extra={"away_s": round(away, 1)})
            return answer
