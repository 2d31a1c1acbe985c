"""A folder of recorded telemetry as a source: read to its end, or followed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from operators.adapters.source import Batch, Partition, SourceError
from operators.intake import SourceRecord
from operators.sources.files import FilePartition, partitions

#: Of one poll: large enough that a fold is worth it, small enough that partitions stay in step.
MAX_RECORDS = 1000
MAX_BYTES = 2**20
#: Records read from a file at a time.
READ_RECORDS = 16
LOOK_AGAIN_S = 1.0


class FileSource:
    """Partitions of one folder. With ``follow`` a partition's end is looked at again every second."""

    def __init__(self, root: Path, *, follow: bool) -> None:
        self._root = root
        self._follow = follow
        self._files: dict[str, FilePartition] = {}
        self._offsets: dict[str, int] = {}
        self._open: dict[str, Iterator[SourceRecord]] = {}
        self._at_end: set[str] = set()
        self._again_s: dict[str, float] = {}

    def partitions(self) -> Sequence[Partition]:
        """Every partition in the folder now."""
        try:
            there = partitions(self._root)
        except OSError as problem:
            raise SourceError(str(problem)) from problem
        for part in there:
            if part.name not in self._files:
                self._files[part.name] = part
                self._offsets.setdefault(part.name, 0)
        return [Partition(part.topic, name) for name, part in self._files.items()]

    def seek(self, positions: Mapping[str, int]) -> None:
        """Read on from these record indices."""
        for name, offset in positions.items():
            self._offsets[name] = offset
            self._open.pop(name, None)
            self._at_end.discard(name)

    def poll(self, ready: Sequence[str], timeout_s: float) -> Sequence[Batch]:
        """The next records of the lowest partition that has any."""
        now = time.monotonic()
        for name in ready:
            if name in self._at_end and (not self._follow or now < self._again_s[name]):
                continue
            records = self._next(name)
            if records:
                self._offsets[name] = records[-1].offset + 1
                return [Batch(name, records, self._offsets[name])]
        if self._follow:
            time.sleep(timeout_s)
        return []

    def position(self, partition: str) -> int:
        """Index of the next record."""
        return self._offsets[partition]

    def at_end(self, partition: str) -> bool:
        """Whether nothing is left to read now."""
        return partition in self._at_end

    def ended(self, partition: str) -> bool:
        """Whether nothing is left to read now; files are not waited for in a run until the end."""
        return partition in self._at_end

    def lag(self, partition: str) -> int | None:
        """None before the end: nobody has counted what a file holds."""
        return 0 if partition in self._at_end else None

    @property
    def connected(self) -> bool:
        """Whether the folder is there."""
        return self._root.is_dir()

    def commit(self, positions: Mapping[str, int]) -> None:
        """Nothing: where a folder was left is kept in the reader's snapshot alone."""

    def close(self) -> None:
        """Close what is open."""
        self._open.clear()

    def _next(self, name: str) -> list[SourceRecord]:
        records: list[SourceRecord] = []
        size = 0
        try:
            if name not in self._open:
                read = self._files[name].read(self._offsets[name], READ_RECORDS)
                self._open[name] = chain.from_iterable(read)
            for record in self._open[name]:
                records.append(record)
                size += len(record.value)
                if len(records) >= MAX_RECORDS or size >= MAX_BYTES:
                    break
        except OSError as problem:
            raise SourceError(f"{name}: {problem}") from problem
        if records:
            self._at_end.discard(name)
        else:
            self._at_end.add(name)
            self._again_s[name] = time.monotonic() + LOOK_AGAIN_S
            del self._open[name]
        return records
