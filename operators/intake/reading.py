"""Records to samples: record by record, or many small ones together where that changes nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.dead_letters import DeadLetter
from operators.sources import SourceRecord
from schemas.chunk import Chunk, Decoded
from schemas.wire import FORMS, decode

Ints = npt.NDArray[np.int64]

#: Records decoded together hold at most this many bytes.
_TOGETHER_BYTES = 4 * 2**20
_TOGETHER = 8192


@dataclass(slots=True)
class Samples:
    """Samples of one form from several records; ``record``: int64[n], ascending, the index of each one's."""

    chunk: Chunk
    record: Ints


@dataclass(slots=True)
class Readout:
    """What a run of records held."""

    samples: list[Samples] = field(default_factory=list)
    dead_letters: list[tuple[int, DeadLetter]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    unknown_fields: Counter[str] = field(default_factory=Counter)
    received: int = 0

    def add(self, decoded: Decoded, record: int | None) -> None:
        """Count what was decoded, and keep the samples where it was from one record (None: from several)."""
        self.received += decoded.samples
        self.ignored.update(decoded.ignored)
        self.unknown_fields.update(decoded.unknown_fields)
        if record is not None:
            for chunk in decoded.chunks:
                self.samples.append(Samples(chunk, np.full(chunk.batch.num_rows, record)))


def read(topic: str, records: Sequence[SourceRecord], ahead_s: float) -> Readout:
    """Decode records in order.

    Args:
        topic: canonical name.
        records: one partition's, in offset order.
        ahead_s: how far ahead of its Kafka timestamp a sample may lie, seconds.

    Returns:
        Their samples, those of one form together, in offset order.
    """
    readout = Readout()
    start = 0
    for end in _runs(topic, records):
        _read_run(topic, records, start, end, ahead_s, readout)
        start = end
    readout.samples = _gathered(readout.samples)
    return readout


def _runs(topic: str, records: Sequence[SourceRecord]) -> list[int]:
    """Where to cut: runs of one-line JSON objects of limited size, anything else by itself."""
    ends, size, count = [], 0, 0
    joint = FORMS.get(topic) not in (None, "changes")
    for index, record in enumerate(records):
        value = record.value
        plain = joint and value[:1] == b"{" and b"\n" not in value.rstrip()
        if count and (not plain or size + len(value) > _TOGETHER_BYTES or count >= _TOGETHER):
            ends.append(index)
            size = count = 0
        if plain:
            size, count = size + len(value), count + 1
        else:
            ends.append(index + 1)
    if count:
        ends.append(len(records))
    return ends


def _read_run(
    topic: str, records: Sequence[SourceRecord], start: int, end: int, ahead_s: float, readout: Readout
) -> None:
    """Decode a run together; where that finds anything amiss, its halves, down to the record it lies in."""
    if end - start == 1:
        return _read_one(topic, records[start], start, ahead_s, readout)
    run = records[start:end]
    decoded = decode(topic, b"\n".join(record.value.rstrip() for record in run))
    if decoded.refused or decoded.accepted != len(run) or _any_ahead(decoded, run, ahead_s):
        middle = (start + end) // 2
        _read_run(topic, records, start, middle, ahead_s, readout)
        _read_run(topic, records, middle, end, ahead_s, readout)
        return None
    readout.add(decoded, None)
    for chunk in decoded.chunks:
        row = chunk.batch.column("row").to_numpy().astype(np.int64)
        readout.samples.append(Samples(chunk, row + start))
    return None


def _read_one(topic: str, record: SourceRecord, index: int, ahead_s: float, readout: Readout) -> None:
    decoded = decode(topic, record.value, broker_time_ms=record.broker_time_ms, ahead_s=ahead_s)
    readout.add(decoded, index)
    for refusal in decoded.refused:
        letter = DeadLetter.of(refusal, topic, record.partition, record.offset)
        readout.dead_letters.append((index, letter))


def _any_ahead(decoded: Decoded, run: Sequence[SourceRecord], ahead_s: float) -> bool:
    if all(record.broker_time_ms is None for record in run):
        return False
    latest = np.array([2**62 if each.broker_time_ms is None else each.broker_time_ms for each in run])
    return any(
        bool(
            (
                chunk.batch.column("event_time").to_numpy()
                > latest[chunk.batch.column("row")] + ahead_s * 1000
            ).any()
        )
        for chunk in decoded.chunks
    )


def _gathered(samples: list[Samples]) -> list[Samples]:
    """Samples that can share a batch, in one: those of one form; of embeddings one embedder and dimension."""
    kinds: dict[Any, list[Samples]] = {}
    for each in samples:
        kinds.setdefault(_kind(each.chunk), []).append(each)
    return [held[0] if len(held) == 1 else _joined(held) for held in kinds.values()]


def _kind(chunk: Chunk) -> Any:
    if chunk.form != "embeddings" or not chunk.batch.num_rows:
        return chunk.topic, chunk.form
    vector = chunk.batch.schema.field("vector").type
    return chunk.topic, chunk.form, vector.list_size, chunk.batch.column("embedder_version")[0].as_py()


def _joined(held: list[Samples]) -> Samples:
    first = held[0].chunk
    tables = [pa.Table.from_batches([each.chunk.batch]) for each in held]
    table = pa.concat_tables(tables, promote_options="default").unify_dictionaries().combine_chunks()
    record = np.concatenate([each.record for each in held])
    if (np.diff(record) < 0).any():
        order = np.argsort(record, kind="stable")
        record, table = record[order], table.take(pa.array(order)).combine_chunks()
    return Samples(Chunk(first.topic, first.form, table.to_batches()[0]), record)
