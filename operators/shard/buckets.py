"""Open buckets: the cells that came for each, as they came, merged when they pile up."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from operators.cells import cell_schema
from operators.fold import merge
from operators.settings import Slicing

#: Rows of a bucket beyond which its parts are merged.
_PILE = 16_384


class OpenBuckets:
    """Cells by bucket start (Unix ms)."""

    def __init__(self, slicing: Slicing) -> None:
        self.slicing = slicing
        self._schema = cell_schema(slicing)
        self._parts: dict[int, list[pa.RecordBatch]] = {}
        self._piled: dict[int, int] = {}
        self._limit: dict[int, int] = {}

    def starts(self) -> list[int]:
        """Buckets that hold cells, in time order."""
        return sorted(self._parts)

    def add(self, cells: bytes, closed_to: int | None) -> None:
        """Take in an Arrow IPC stream of cells; what is below ``closed_to`` (Unix ms) came too late."""
        with pa.ipc.open_stream(cells) as reader:
            for batch in reader:
                starts = batch.column("bucket").to_numpy(zero_copy_only=False)
                for start in np.unique(starts).tolist():
                    if closed_to is not None and start < closed_to:
                        continue
                    mine = starts == start
                    self._put(start, batch if mine.all() else batch.filter(pa.array(mine)))

    def take(self, starts: Iterable[int]) -> pa.Table | None:
        """Hand out buckets for good: their cells, unmerged, or None where there are none."""
        parts: list[pa.RecordBatch] = []
        for start in starts:
            parts += self._parts.pop(start, [])
            self._piled.pop(start, None)
            self._limit.pop(start, None)
        return pa.Table.from_batches(parts) if parts else None

    def snapshot(self) -> list[tuple[int, bytes]]:
        """Each bucket's merged cells as an Arrow IPC stream."""
        return [(start, _stream(self._schema, [self._merge(start)])) for start in self.starts()]

    def restore(self, buckets: Iterable[tuple[int, bytes]]) -> None:
        """Take over what `snapshot` gave."""
        for _, cells in buckets:
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


def _stream(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema) if batch.schema != schema else batch)
    return bytes(sink.getvalue())
