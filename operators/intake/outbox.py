"""Accepted samples to messages: cells and projected vectors, each to the shard its series live in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.cells import cell_fields
from operators.fold import fold
from operators.message import ProducerFault
from operators.settings import Settings
from operators.shard.routing import shard_of
from schemas.chunk import Chunk
from schemas.records import ChangeRecord

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Outbox:
    """What one delivery sends, before it is put into messages."""

    cells: dict[int, bytes] = field(default_factory=dict)
    vectors: dict[int, bytes] = field(default_factory=dict)
    changes: list[ChangeRecord] = field(default_factory=list)
    ledger: dict[str, dict[int, int]] = field(default_factory=dict)
    edges: list[tuple[str, str, str]] = field(default_factory=list)
    faults: list[ProducerFault] = field(default_factory=list)

    def add(self, chunks: Sequence[Chunk], settings: Settings) -> None:
        """Fold, project and count accepted chunks."""
        cells = fold(chunks, settings)
        if cells.num_rows:
            self.cells = by_shard([cells], _cell_shards(cells, settings))
        vectors = [_projected(chunk, settings) for chunk in chunks if chunk.form == "embeddings"]
        if vectors:
            rows = pa.Table.from_batches(vectors).unify_dictionaries().combine_chunks().to_batches()
            shards = [_shards(batch, None, settings) for batch in rows]
            self.vectors = by_shard(rows, np.concatenate(shards))
        bucket_ms = settings.windows.bucket_s * 1000
        for chunk in chunks:
            if chunk.form == "changes":
                self.changes += [change_of(row) for row in chunk.batch.drop_columns(["row"]).to_pylist()]
                continue
            time = chunk.batch.column("event_time").to_numpy()
            buckets, counts = np.unique(time // bucket_ms * bucket_ms, return_counts=True)
            held = self.ledger.setdefault(chunk.topic, {})
            for bucket, count in zip(buckets.tolist(), counts.tolist(), strict=True):
                held[bucket] = held.get(bucket, 0) + count


def change_of(row: dict[str, Any]) -> ChangeRecord:
    """A row of a changes chunk as a record; times Unix ms."""
    known = {name: value for name, value in row.items() if value is not None and name != "from"}
    return ChangeRecord(**known, from_=row.get("from"))


def by_shard(batches: Sequence[Any], shards: Ints) -> dict[int, bytes]:
    """Rows of batches (of one schema) as one Arrow IPC stream a shard."""
    table = pa.Table.from_batches(batches)
    found = {}
    for shard in np.unique(shards).tolist():
        here = shards == shard
        rows = (table if here.all() else table.take(pa.array(np.flatnonzero(here)))).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(rows)
        found[shard] = sink.getvalue().to_pybytes()
    return found


def _projected(chunk: Chunk, settings: Settings) -> Any:
    from operators.embedding import project  # nobody else should wait for what it imports

    return project(chunk, settings)


def _cell_shards(cells: Any, settings: Settings) -> Ints:
    return _shards(cells, cells.column("signal"), settings)


def _shards(batch: Any, signal: Any | None, settings: Settings) -> Ints:
    """Shard of every row. A field no slice has does not route: its series would be torn apart."""
    size = batch.num_rows
    if settings.shards == 1:
        return np.zeros(size, np.int64)
    kept = [name for name in ("service", "request_model") if name in cell_fields(settings.slices)]
    columns = [batch.column(name) for name in kept] + ([] if signal is None else [signal])
    code = np.zeros(size, np.int64)
    for column in columns:
        code = code * (len(column.dictionary) + 1) + column.indices.fill_null(-1).to_numpy() + 1
    _, sample, inverse = np.unique(code, return_index=True, return_inverse=True)
    routed = []
    for row in sample.tolist():
        words = {name: batch.column(name)[row].as_py() for name in kept}
        what = "embedding" if signal is None else signal[row].as_py()
        routed.append(shard_of(words.get("service"), words.get("request_model"), what, settings.shards))
    return np.array(routed, np.int64)[inverse]
