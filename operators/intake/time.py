"""A partition's time: the lower median of its producers' running maxima of event time.

Everything is decided record by record, in offset order, and depends on nothing but the records. What a record
changes counts from the next record on.
"""

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.state import StateError

#: Who sent a sample: the identity field that names it, and its value.
Producer = tuple[str, str]

#: A producer that stopped counting is forgotten when the partition's time is this far past its maximum, ms.
_FORGET_MS = 24 * 3_600_000
_NEVER = -1


@dataclass(slots=True)
class _Clock:
    """One producer. ``steps``: (record, maximum) of each rise of its maximum within the last lateness.

    ``first`` and ``last`` are the records of its first and last sample. ``stopped``: by rule (a); ``behind``:
    by rule (b).
    """

    maximum: int
    newest: int
    first: int
    last: int
    stopped: bool = False
    behind: bool = False
    steps: deque[tuple[int, int]] = field(default_factory=deque)

    @property
    def reached(self) -> int:
        """The record since which it has advanced by no more than the lateness: it had before any earlier one.

        So it has advanced by more since record r exactly if ``r < reached``; `_NEVER` while its whole
        advance, from its first sample on, is no more.
        """
        since = self.steps[0][0]
        return since if since > self.first else _NEVER


class PartitionTime:
    """Follows the producers of one partition and keeps its time, Unix ms; None before the first sample.

    A producer stops counting (a) once three others have each advanced by more than the lateness since its
    last sample or their own first, if that is later. With fewer than three it takes all others that count:
    one that stopped itself says nothing about the rest, or a partition shrinking to one producer would stand
    still forever. (b) While its newest sample lies more than the lateness below its own maximum.
    """

    def __init__(self, lateness_ms: int) -> None:
        self.time_ms: int | None = None
        self._lateness = lateness_ms
        self._record = 0
        self._clocks: dict[Producer, _Clock] = {}
        self._waiting: OrderedDict[Producer, _Clock] = OrderedDict()  # not stopped, longest silent first
        self._maxima: list[int] = []  # of those that count, ascending
        self._forget_at: int | None = None

    def observe(self, record: Iterable[tuple[Producer, int, int]]) -> int | None:
        """Take one record: of each of its producers the highest and the newest event time, Unix ms.

        Returns:
            The partition's time after it.
        """
        self._record += 1
        settle = False
        for producer, highest, newest in record:
            settle |= self._advance(producer, highest, newest)
        if settle:
            self._settle()
        if self._maxima:
            median = self._maxima[(len(self._maxima) - 1) // 2]
            self.time_ms = median if self.time_ms is None else max(self.time_ms, median)
            self._forget(self.time_ms)
        return self.time_ms

    def _advance(self, producer: Producer, highest: int, newest: int) -> bool:
        """Move one producer on; whether another may stop counting for it."""
        clock = self._clocks.get(producer)
        if clock is None:
            clock = self._clocks[producer] = _Clock(highest, newest, self._record, self._record)
            clock.steps.append((self._record, highest))
        else:
            self._uncount(clock)
            clock.last, clock.newest, clock.stopped = self._record, newest, False
            if highest > clock.maximum:
                clock.maximum = highest
                clock.steps.append((self._record, highest))
                while clock.steps[0][1] < highest - self._lateness:
                    clock.steps.popleft()
        fell = not clock.behind and newest < clock.maximum - self._lateness
        clock.behind = newest < clock.maximum - self._lateness
        self._waiting[producer] = clock
        self._waiting.move_to_end(producer)
        if not clock.behind:
            insort(self._maxima, clock.maximum)
        return fell or clock.reached > next(iter(self._waiting.values())).last

    def _uncount(self, clock: _Clock) -> None:
        if not clock.stopped and not clock.behind:
            del self._maxima[bisect_left(self._maxima, clock.maximum)]

    def _settle(self) -> None:
        """Rule (a), until nobody else stops."""
        reached = sorted((clock.reached for clock in self._clocks.values()), reverse=True)
        third = reached[2] if len(reached) > 2 else _NEVER
        again = True
        while again:
            again = False
            for producer, clock in list(self._waiting.items()):
                if clock.last >= reached[0]:
                    break  # nobody has advanced since its last sample, nor since those of the ones behind it
                # a clock has not advanced since its own last sample, so it is none of the three itself
                if third > clock.last or self._all_passed(clock):
                    self._uncount(clock)
                    clock.stopped = True
                    del self._waiting[producer]
                    again = True

    def _all_passed(self, clock: _Clock) -> bool:
        others = [other for other in self._waiting.values() if other is not clock and not other.behind]
        return bool(others) and all(other.reached > clock.last for other in others)

    def _forget(self, time_ms: int) -> None:
        """Forget, once an hour of the partition's time, who stopped a day ago: replicas come and go."""
        if self._forget_at is None or time_ms >= self._forget_at:
            self._forget_at = time_ms + _FORGET_MS // 24
            gone = [
                producer
                for producer, clock in self._clocks.items()
                if clock.stopped and clock.maximum < time_ms - _FORGET_MS
            ]
            for producer in gone:
                del self._clocks[producer]

    def snapshot(self) -> dict[str, Any]:
        """Plain values, for the state codec."""
        return {
            "time_ms": self.time_ms,
            "record": self._record,
            "forget_at": self._forget_at,
            "clocks": [
                [
                    *producer,
                    clock.maximum,
                    clock.newest,
                    clock.first,
                    clock.last,
                    clock.stopped,
                    [*clock.steps],
                ]
                for producer, clock in self._clocks.items()
            ],
        }

    @classmethod
    def restore(cls, values: dict[str, Any], lateness_ms: int) -> "PartitionTime":
        """The time a snapshot was taken of.

        Raises:
            StateError: values that are not such a snapshot.
        """
        time = cls(lateness_ms)
        try:
            time.time_ms, time._record = values["time_ms"], values["record"]
            time._forget_at = values["forget_at"]
            for name, value, maximum, newest, first, last, stopped, steps in values["clocks"]:
                behind = newest < maximum - lateness_ms
                held = deque((record, at) for record, at in steps)
                time._clocks[name, value] = _Clock(maximum, newest, first, last, stopped, behind, held)
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"damaged snapshot of a partition's time: {error}") from error
        alive = [(producer, clock) for producer, clock in time._clocks.items() if not clock.stopped]
        time._waiting = OrderedDict(sorted(alive, key=lambda pair: pair[1].last))
        time._maxima = sorted(clock.maximum for _, clock in alive if not clock.behind)
        return time


def observe_all(
    time: PartitionTime,
    records: int,
    record: npt.NDArray[np.int64],
    producer: npt.NDArray[np.int64],
    producers: Sequence[Producer],
    event_time: npt.NDArray[np.int64],
) -> tuple[list[int | None], list[int | None]]:
    """Take the samples of several records, in offset order.

    Args:
        time: moved on.
        records: how many records there are, also those without samples.
        record: int64[n] record of each sample, ascending.
        producer: int64[n] index into ``producers``.
        producers: who they are.
        event_time: int64[n] Unix ms.

    Returns:
        The partition's time before and after each record.
    """
    before: list[int | None] = [time.time_ms] * records
    after: list[int | None] = [time.time_ms] * records
    if not len(record):
        return before, after
    key = record * len(producers) + producer
    if (np.diff(key) < 0).any():
        order = np.argsort(key, kind="stable")
        key, event_time = key[order], event_time[order]
    start = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    end = np.concatenate([start[1:], [len(key)]])
    highest = np.maximum.reduceat(event_time, start).tolist()
    newest = event_time[end - 1].tolist()
    of_record = (key[start] // len(producers)).tolist()
    who = [producers[index] for index in (key[start] % len(producers)).tolist()]
    place, groups = 0, len(of_record)
    for number in range(records):
        before[number] = time.time_ms
        first = place
        while place < groups and of_record[place] == number:
            place += 1
        if place > first:
            time.observe(zip(who[first:place], highest[first:place], newest[first:place], strict=True))
        after[number] = time.time_ms
    return before, after
