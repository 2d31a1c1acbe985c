"""Open windows: the cells that came for their buckets, as they came, merged when they pile up."""

import numpy as np
import pyarrow as pa

from operators.cells import cell_schema
from operators.fold import merge
from operators.settings import Slicing

#: Rows of a window beyond which its parts are merged.
_PILE = 16_384


class OpenWindows:
    """Cells by the window (start, Unix ms) their bucket is in."""

    def __init__(self, slicing: Slicing, window_ms: int) -> None:
        self.slicing = slicing
        self.window_ms = window_ms
        self._schema = cell_schema(slicing)
        self._parts: dict[int, list[pa.RecordBatch]] = {}
        self._piled: dict[int, int] = {}
        self._limit: dict[int, int] = {}

    def starts(self) -> list[int]:
        """Windows that hold cells, in time order."""
        return sorted(self._parts)

    def add(self, cells: bytes, closed_to: int | None) -> set[int]:
        """Take in an Arrow IPC stream of cells; what is below ``closed_to`` (Unix ms) came too late.

        Returns:
            The buckets of those taken in.
        """
        found: set[int] = set()
        with pa.ipc.open_stream(cells) as reader:
            for batch in reader:
                bucket = batch.column("bucket").to_numpy()
                if closed_to is not None and bucket.min(initial=closed_to) < closed_to:
                    fresh = bucket >= closed_to
                    batch, bucket = batch.filter(pa.array(fresh)), bucket[fresh]
                if not len(bucket):
                    continue
                found.update(np.unique(bucket).tolist())
                window = bucket // self.window_ms * self.window_ms
                if window.min() < window.max():
                    order = np.argsort(window, kind="stable")
                    batch, window = batch.take(pa.array(order)), window[order]
                known, first = np.unique(window, return_index=True)
                for start, low, high in zip(known.tolist(), first, [*first[1:], len(window)], strict=True):
                    self._put(start, batch.slice(low, high - low))
        return found

    def take(self, start: int) -> pa.Table | None:
        """Hand out a window for good: its cells, unmerged, or None where there are none."""
        parts = self._parts.pop(start, [])
        self._piled.pop(start, None)
        self._limit.pop(start, None)
        return pa.Table.from_batches(parts) if parts else None

    def snapshot(self) -> bytes:
        """All cells, merged, as an Arrow IPC stream: the same bytes for any order they came in."""
        merged = merge([part for parts in self._parts.values() for part in parts], self.slicing)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            writer.write_batch(merged)
        return bytes(sink.getvalue())

    def restore(self, cells: bytes) -> None:
        """Take over what `snapshot` gave."""
        self.add(cells, None)

    def _put(self, start: int, batch: pa.RecordBatch) -> None:
        self._parts.setdefault(start, []).append(batch)
        self._piled[start] = self._piled.get(start, 0) + batch.num_rows
        if self._piled[start] > self._limit.get(start, _PILE):
            merged = self._merge(start)
            self._limit[start] = max(_PILE, 2 * merged.num_rows)

    def _merge(self, start: int) -> pa.RecordBatch:
        parts = self._parts[start]
        merged = parts[0] if len(parts) == 1 else merge(parts, self.slicing)
        self._parts[start], self._piled[start] = [merged], merged.num_rows
        return merged
