"""A source as the engines see it: named partitions with offsets, polled, and told what is done with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from operators.intake import SourceRecord


@dataclass(frozen=True, slots=True)
class Partition:
    """One ordered run of records. ``name`` is ``topic/number``.

    One that is not ``here`` is read by someone else; it is named so that shards wait for it.
    """

    topic: str
    name: str
    here: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll gave for one partition, and the offset to read next."""

    partition: str
    records: Sequence[SourceRecord]
    next_offset: int


class Source(Protocol):
    """Where records come from. Errors of the broker or the file system are `SourceError`."""

    def partitions(self) -> Sequence[Partition]:
        """Every partition there is now; may grow between calls."""
        ...

    def seek(self, positions: Mapping[str, int]) -> None:
        """Read these partitions from these offsets on; the others from where they were left, or the start."""
        ...

    def poll(self, ready: Sequence[str], timeout_s: float) -> Sequence[Batch]:
        """Records of some of the ready partitions, which come lowest time first; empty after the timeout."""
        ...

    def position(self, partition: str) -> int:
        """The next offset that `poll` gives of it."""
        ...

    def at_end(self, partition: str) -> bool:
        """Whether the position is at the end of what is there now."""
        ...

    def ended(self, partition: str) -> bool:
        """Whether all that was there when reading began is read: the end, for a run until the end."""
        ...

    def lag(self, partition: str) -> int | None:
        """Records that are there and not read yet; None where the source does not know."""
        ...

    @property
    def connected(self) -> bool:
        """Whether it answered when asked last."""
        ...

    def commit(self, positions: Mapping[str, int]) -> None:
        """Remember that everything below these offsets is done with, for a later start. May do nothing."""
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...


class SourceError(Exception):
    """The source cannot be read or refuses; the message says which and why."""
