"""Producers whose clock is wrong: in a minute most of their samples are late or far ahead.

The minutes are those of the partition's time, so a wrong clock is told of in the minute it was met, not in
the one it claims. A minute is judged when the time leaves it.

What comes below a bucket that closed while its partition was idle (``after_idle``) is late by no clock: all
producers of the partition were held up, and how many samples it hits may differ between engines and replays,
which events may not. It is counted, and no fault.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from operators.intake.time import Producer
from operators.message import ProducerFault

MINUTE_MS = 60_000


class Tally(NamedTuple):
    """Samples of one producer in one minute; ``skew_ms``: how far the bad ones lie above the time, summed."""

    samples: int
    late: int
    ahead: int
    skew_ms: int

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class FaultMinutes:
    """The open minute of a partition."""

    def __init__(self, topic: str, partition: str) -> None:
        self._topic = topic
        self._partition = partition
        self._minute: int | None = None
        self._tallies: dict[Producer, Tally] = {}

    def add(self, minute_ms: int, tallies: Iterable[tuple[Producer, Tally]]) -> list[ProducerFault]:
        """Count samples met in a minute (its start, Unix ms, never falling); faults of the minute it ends."""
        faults = self.close() if self._minute is not None and minute_ms > self._minute else []
        self._minute = minute_ms
        for producer, tally in tallies:
            held = self._tallies.get(producer)
            self._tallies[producer] = tally if held is None else held.plus(tally)
        return faults

    def close(self) -> list[ProducerFault]:
        """Judge the open minute."""
        if self._minute is None:
            return []
        bad = [
            (producer, tally)
            for producer, tally in sorted(self._tallies.items())
            if 2 * (tally.late + tally.ahead) > tally.samples
        ]
        wide = 2 * len(bad) > len(self._tallies)
        faults = [
            ProducerFault(
                topic=self._topic,
                partition=self._partition,
                producer=name or self._partition,
                field=field,
                minute_ms=self._minute,
                samples=tally.samples,
                late=tally.late,
                ahead=tally.ahead,
                skew_s=round(tally.skew_ms / (tally.late + tally.ahead) / 1000, 3),
                partition_wide=wide,
            )
            for (field, name), tally in bad
        ]
        self._minute, self._tallies = None, {}
        return faults

    def snapshot(self) -> dict[str, Any]:
        """Plain values, for the state codec."""
        held = [[*producer, *tally] for producer, tally in self._tallies.items()]
        return {"minute": self._minute, "tallies": held}

    def restore(self, values: dict[str, Any]) -> None:
        """Take the open minute of a snapshot."""
        self._minute = values["minute"]
        self._tallies = {(field, name): Tally(*tally) for field, name, *tally in values["tallies"]}
