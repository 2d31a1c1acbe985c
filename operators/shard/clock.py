"""A shard's time: the minimum over its partitions, each followed along its chain of messages."""

from collections.abc import Iterable
from typing import Any

import msgspec

from operators.message import Message, PartitionState
from schemas.plans import prepare

#: A partition's first message comes after this offset.
START = -1
#: Partitions of this topic take no part in time.
_TIMELESS = "changes.v1/"


class Partition(msgspec.Struct):
    """How far one partition was heard: its chain's end, its time (Unix ms) and its state."""

    offset: int
    time_ms: int | None
    state: PartitionState


prepare(Partition)


class Clock:
    """Puts messages in chain order and keeps the shard's time, which never falls."""

    def __init__(self) -> None:
        self.time_ms: int | None = None
        self._partitions: dict[str, Partition] = {}
        self._known: set[str] = set()
        self._held: dict[str, dict[int, Message]] = {}

    def admit(self, message: Message) -> list[Message]:
        """Messages whose turn has come with this one, in chain order.

        A replayed message (its stretch of the chain was heard) gives none; one that overtook another is held
        until the gap before it is filled.
        """
        self._known.update(name for name in message.partitions if not name.startswith(_TIMELESS))
        heard = self._offset(message.partition)
        if message.after > heard:
            self._held.setdefault(message.partition, {})[message.after] = message
            return []
        if message.after < heard:
            return []
        ready = [message]
        self._advance(message)
        held = self._held.get(message.partition)
        while held and (following := held.pop(self._offset(message.partition), None)) is not None:
            ready.append(following)
            self._advance(following)
        return ready

    def read(self) -> int | None:
        """Move the shard's time to the minimum of its active partitions and return it (Unix ms).

        None until every known partition was heard and has a time; it stands when no partition is left.
        """
        counted = []
        for name in self._known:
            partition = self._partitions.get(name)
            if partition is None:
                return self.time_ms
            if partition.state == "active":
                counted.append(partition.time_ms)
        times = [time for time in counted if time is not None]
        if times and len(times) == len(counted):
            self.time_ms = max(min(times), self.time_ms) if self.time_ms is not None else min(times)
        return self.time_ms

    @property
    def exhausted(self) -> bool:
        """Whether every known partition was heard and read to its end: the end of input."""
        heard = [self._partitions.get(name) for name in self._known]
        return bool(heard) and all(each is not None and each.state == "exhausted" for each in heard)

    @property
    def position(self) -> int:
        """How much of all chains was heard: it rises with every admitted message, and by nothing else."""
        return sum(partition.offset for partition in self._partitions.values())

    def snapshot(self) -> dict[str, Any]:
        """Plain values, for the state codec."""
        return {
            "time_ms": self.time_ms,
            "known": sorted(self._known),
            "partitions": {
                name: msgspec.to_builtins(self._partitions[name]) for name in sorted(self._partitions)
            },
            "held": [msgspec.msgpack.encode(message) for message in self._overtakers()],
        }

    @classmethod
    def restore(cls, values: dict[str, Any]) -> "Clock":
        """The clock a snapshot was taken of."""
        clock = cls()
        clock.time_ms = values["time_ms"]
        clock._known = set(values["known"])
        clock._partitions = msgspec.convert(values["partitions"], dict[str, Partition])
        for data in values["held"]:
            message = msgspec.msgpack.decode(data, type=Message)
            clock._held.setdefault(message.partition, {})[message.after] = message
        return clock

    def _offset(self, name: str) -> int:
        partition = self._partitions.get(name)
        return START if partition is None else partition.offset

    def _advance(self, message: Message) -> None:
        self._partitions[message.partition] = Partition(message.offset, message.time_ms, message.state)
        if not message.partition.startswith(_TIMELESS):
            self._known.add(message.partition)

    def _overtakers(self) -> Iterable[Message]:
        for name in sorted(self._held):
            yield from (self._held[name][after] for after in sorted(self._held[name]))
