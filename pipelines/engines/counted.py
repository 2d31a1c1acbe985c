"""Meters of a job that runs elsewhere, as far as its launcher knows them: from the totals it has written.

They follow from the job's state, so a restart counts nothing twice. What only the workers know (lag, delay,
open buckets, batches, sinks) they record as Beam metrics, which the runner shows.
"""

import time
from collections.abc import Iterable

from operators import meters as of
from operators.adapters.accounting import UNKNOWN_FIELD
from operators.adapters.figures import OUTPUTS
from operators.meters import Meters
from schemas.rows import Count

_OUTPUTS = {"revisions": of.REVISIONS, "windows": of.WINDOWS, "buckets": of.BUCKETS}

_Key = tuple[str, str, str]


class Counted:
    """Totals as meters.

    Args:
        meters: told.
        idle_s: for how long no sample may come before that is ``no_data``.
    """

    def __init__(self, meters: Meters, idle_s: float) -> None:
        self._meters = meters
        self._idle_s = idle_s
        self._before: dict[_Key, int] = {}
        self._rose_s: float | None = None

    def running(self, *, running: bool) -> None:
        """The runner was asked about the job."""
        self._meters.set(of.TURN, round(time.time()), "reading")
        self._meters.set(of.SOURCE_UP, int(running))

    def tell(self, totals: Iterable[Count], now_s: float) -> None:
        """Tell what the totals have grown by; ``now_s`` is a monotonic wall clock."""
        rose = False
        for topic, outcome, reason, samples in totals:
            if (topic, outcome) == (OUTPUTS, "series"):
                self._meters.set(of.SERIES, samples, "all")
                continue
            before = self._before.get((topic, outcome, reason), 0)
            # what turned out late leaves the accepted again, which a counter cannot
            if samples > before:
                self._before[topic, outcome, reason] = samples
                self._add(topic, outcome, reason, samples - before)
                rose = rose or topic != OUTPUTS
        if rose or self._rose_s is None:
            self._rose_s = now_s
        quiet_s = now_s - self._rose_s
        self._meters.set(of.NO_DATA, int(quiet_s) if quiet_s > self._idle_s else 0)

    def _add(self, topic: str, outcome: str, reason: str, more: int) -> None:
        if topic == OUTPUTS:
            if outcome == "events":
                self._meters.add(of.EVENTS, more, reason)
            elif outcome in _OUTPUTS:
                self._meters.add(_OUTPUTS[outcome], more)
        elif outcome == UNKNOWN_FIELD:
            self._meters.add(of.UNKNOWN_FIELDS, more, topic)
        elif (outcome, reason) == ("late", "after_idle"):
            self._meters.add(of.AFTER_IDLE, more, topic)
        else:
            self._meters.add(of.SAMPLES, more, topic, outcome, reason if outcome == "refused" else "")
