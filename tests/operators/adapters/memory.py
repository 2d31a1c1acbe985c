"""A source in memory for tests: partitions of records that can grow, end, and stop answering."""

import json
from collections.abc import Mapping, Sequence

from operators.adapters.source import Batch, Partition
from operators.sources import SourceRecord

START_MS = 1_767_571_200_000


def request(time_ms: int, number: int = 0, **fields: object) -> bytes:
    """One request sample."""
    record = {
        "event_time": time_ms,
        "request_id": f"q{time_ms}-{number}",
        "status": "ok",
        "service": "chat",
        "ttft_s": 0.2 + number % 7 / 100,
    }
    return json.dumps(record | fields).encode()


class MemorySource:
    """Partitions by name, read ``most`` records at a time, the first ready one first."""

    def __init__(self, partitions: Mapping[str, Sequence[bytes]], *, most: int = 10) -> None:
        self.values = {name: list(values) for name, values in partitions.items()}
        self.committed: dict[str, int] = {}
        self.read: list[str] = []
        self.answers = True
        self._most = most
        self._offsets = dict.fromkeys(self.values, 0)

    def partitions(self) -> Sequence[Partition]:
        return [Partition(name.rsplit("/", 1)[0], name) for name in self.values]

    def seek(self, positions: Mapping[str, int]) -> None:
        self._offsets |= positions

    def poll(self, ready: Sequence[str], timeout_s: float) -> Sequence[Batch]:
        for name in ready:
            start = self._offsets.setdefault(name, 0)
            values = self.values[name][start : start + self._most]
            if values and self.answers:
                topic = name.rsplit("/", 1)[0]
                records = [
                    SourceRecord(topic, name, start + n, value, None) for n, value in enumerate(values)
                ]
                self._offsets[name] = start + len(values)
                self.read.append(name)
                return [Batch(name, records, self._offsets[name])]
        return []

    def position(self, partition: str) -> int:
        return self._offsets.setdefault(partition, 0)

    def at_end(self, partition: str) -> bool:
        return self.answers and self._offsets.get(partition, 0) >= len(self.values[partition])

    def ended(self, partition: str) -> bool:
        return self.at_end(partition)

    def lag(self, partition: str) -> int | None:
        return len(self.values[partition]) - self._offsets.get(partition, 0) if self.answers else None

    @property
    def connected(self) -> bool:
        return self.answers

    def commit(self, positions: Mapping[str, int]) -> None:
        self.committed |= positions

    def close(self) -> None:
        """Nothing to let go of."""
