"""The partitions a group member was given, as the source that a `Reader` reads in step."""

from collections.abc import Mapping, Sequence

from operators.adapters.source import Batch, Partition


class Assigned:
    """Holds what was fetched until the reader takes it, and knows where each partition stands and ends.

    Args:
        here: the partitions this member reads, by name.
        ends_at_start: where they ended when they were first read.
    """

    def __init__(self, here: Mapping[str, str], ends_at_start: Mapping[str, int]) -> None:
        self._here = dict(here)
        self._ends_at_start = ends_at_start
        self._fetched: list[Batch] = []
        self.others: dict[str, str] = {}
        self.positions: dict[str, int] = {}
        self.ends: dict[str, int] = {}

    def partitions(self) -> Sequence[Partition]:
        """Those read here, and all others there are."""
        others = ((name, topic) for name, topic in self.others.items() if name not in self._here)
        return [
            *(Partition(topic, name) for name, topic in self._here.items()),
            *(Partition(topic, name, here=False) for name, topic in others),
        ]

    def offer(self, batches: Sequence[Batch]) -> None:
        """What the next `poll` gives."""
        self._fetched.extend(batches)

    def poll(self, ready: Sequence[str], timeout_s: float) -> Sequence[Batch]:
        """What was fetched; it was fetched of ready partitions alone."""
        batches, self._fetched = self._fetched, []
        return batches

    def position(self, partition: str) -> int:
        """Where the consumer is."""
        return self.positions[partition]

    def at_end(self, partition: str) -> bool:
        """Whether the position is at the log's end; False also while the broker does not answer."""
        end = self.ends.get(partition)
        return end is not None and self.positions.get(partition, -1) >= end

    def ended(self, partition: str) -> bool:
        """Whether all that was there at the start is read."""
        return self.positions.get(partition, -1) >= self._ends_at_start[partition]

    def lag(self, partition: str) -> int | None:
        """Records behind the position; None while the broker does not answer."""
        end = self.ends.get(partition)
        return None if end is None else max(0, end - self.positions.get(partition, end))

    @property
    def connected(self) -> bool:
        """Whether the broker said where the partitions end when it was asked last."""
        return bool(self.ends) or not self._here

    def seek(self, positions: Mapping[str, int]) -> None:
        """Nothing: the consumer was put there before."""

    def commit(self, positions: Mapping[str, int]) -> None:
        """Nothing: the journals say where to go on."""

    def close(self) -> None:
        """Nothing: the consumer stays."""
