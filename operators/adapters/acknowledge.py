"""How far each partition is done with where the engine keeps its state in memory alone.

A delivery is done with once no shard has the last bucket it reached into open any more and the sinks have
flushed what came of it; only then may its offset be committed, so that nothing is lost however the process
ends.
"""

from collections import deque
from threading import Lock


class Acknowledgements:
    """Offsets read, buckets flushed, and from both the offsets that are safe to commit."""

    def __init__(self, shards: int) -> None:
        self._flushed: list[int | None] = [None] * shards
        self._waiting: dict[str, deque[tuple[int, int | None]]] = {}
        self._safe: dict[str, int] = {}
        self._lock = Lock()

    def read(self, partition: str, next_offset: int, last_bucket: int | None) -> None:
        """A delivery went out: it ends below ``next_offset`` and reaches into ``last_bucket``, if any."""
        with self._lock:
            self._waiting.setdefault(partition, deque()).append((next_offset, last_bucket))

    def flushed(self, shard: int, done_to: int) -> None:
        """The sinks have all that this shard handed out for buckets before ``done_to`` (Unix ms)."""
        with self._lock:
            before = self._flushed[shard]
            self._flushed[shard] = done_to if before is None else max(before, done_to)

    def finished(self) -> None:
        """The input was read to its end, every shard has finished, and the sinks have all of it."""
        with self._lock:
            for partition, waiting in self._waiting.items():
                if waiting:
                    self._safe[partition] = waiting.pop()[0]
                    waiting.clear()

    def positions(self) -> dict[str, int]:
        """The next offset of each partition below which everything is done with."""
        with self._lock:
            known = [last for last in self._flushed if last is not None]
            through = min(known) if len(known) == len(self._flushed) else None
            for partition, waiting in self._waiting.items():
                while waiting and (
                    waiting[0][1] is None or (through is not None and waiting[0][1] < through)
                ):
                    self._safe[partition] = waiting.popleft()[0]
            return dict(self._safe)
