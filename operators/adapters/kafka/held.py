"""Records that a library has fetched and no poll has handed out yet."""

from collections import deque
from collections.abc import Collection, Sequence

from operators.adapters.kafka.client import TopicPartition
from operators.intake import SourceRecord

#: The most bytes of values that one poll hands out; at least one record.
POLL_BYTES = 32 * 2**20


class Held:
    """A queue for each partition; those longest not served come first, as bytes run out.

    Args:
        most: records of one partition that one poll hands out.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[TopicPartition, deque[SourceRecord]] = {}
        self._bytes: dict[TopicPartition, int] = {}

    def clear(self) -> None:
        """Forget all."""
        self._queues.clear()
        self._bytes.clear()

    def put(self, place: TopicPartition, records: Sequence[SourceRecord]) -> None:
        """Take in what was fetched."""
        self._queues.setdefault(place, deque()).extend(records)
        self._bytes[place] = self._bytes.get(place, 0) + sum(len(record.value) for record in records)

    @property
    def places(self) -> Collection[TopicPartition]:
        """The partitions that something is held of."""
        return self._queues.keys()

    def size(self, place: TopicPartition) -> tuple[int, int]:
        """Records and bytes held of a partition."""
        return len(self._queues.get(place, ())), self._bytes.get(place, 0)

    def first(self, place: TopicPartition) -> int | None:
        """The offset of the next record of a partition, where one is held."""
        queue = self._queues.get(place)
        return queue[0].offset if queue else None

    def take(self, paused: Collection[TopicPartition]) -> dict[TopicPartition, list[SourceRecord]]:
        """What a poll hands out of the partitions that are not paused."""
        found: dict[TopicPartition, list[SourceRecord]] = {}
        left = POLL_BYTES
        for place in [place for place in self._queues if place not in paused]:
            queue, before = self._queues[place], left
            taken: list[SourceRecord] = []
            while queue and len(taken) < self._most:
                if len(queue[0].value) > left and (taken or found):
                    break
                taken.append(queue.popleft())
                left -= len(taken[-1].value)
            if not taken:
                break
            found[place] = taken
            del self._queues[place]
            held = self._bytes.pop(place) - (before - left)
            if queue:  # behind the others now
                self._queues[place], self._bytes[place] = queue, held
        return found
