"""Records to samples: record by record, or many small ones together where that changes nothing."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.dead_letters import DeadLetter
from operators.sources import SourceRecord
from schemas.chunk import Chunk, Decoded
from schemas.wire import FORMS, decode
from schemas.wire.ipc import END, lone_batch

Ints = npt.NDArray[np.int64]

#: Records decoded together hold at most this many bytes, and about so many samples.
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
    for run in _runs(topic, records):
        _read_run(topic, records, run, ahead_s, readout)
    readout.samples = _gathered(readout.samples)
    return readout


@dataclass(frozen=True, slots=True)
class _Run:
    """Records that can be decoded together; ``rows``: samples of each, ``head``: what their Arrow shares."""

    start: int
    end: int
    rows: tuple[int, ...]
    head: bytes = b""

    def halves(self) -> Iterator["_Run"]:
        """Its first and its second half."""
        middle = len(self.rows) // 2
        yield _Run(self.start, self.start + middle, self.rows[:middle], self.head)
        yield _Run(self.start + middle, self.end, self.rows[middle:], self.head)

    def together(self, records: Sequence[SourceRecord]) -> bytes:
        """Its records as one."""
        values = [record.value for record in records[self.start : self.end]]
        if not self.head:
            return b"\n".join(value.rstrip() for value in values)
        skip = len(self.head)
        return b"".join([self.head, *(value[skip : -len(END)] for value in values), END])


def _runs(topic: str, records: Sequence[SourceRecord]) -> Iterator[_Run]:
    """Where to cut: runs of small records of one kind, of limited size; anything else by itself."""
    joint = FORMS.get(topic) not in (None, "changes")
    start, size, count, head, rows = 0, 0, 0, b"", list[int]()
    for index, record in enumerate(records):
        value = record.value
        kind = _small(value) if joint else None
        size += len(value)
        full = size > _TOGETHER_BYTES or count >= _TOGETHER
        if rows and (kind is None or full or kind[0] != head):
            yield _Run(start, index, tuple(rows), head)
            start, size, count, rows = index, len(value), 0, []
        if kind is None:
            yield _Run(index, index + 1, (1,))
            start, size = index + 1, 0
        else:
            head = kind[0]
            rows.append(kind[1])
            count += kind[1]
    if rows:
        yield _Run(start, len(records), tuple(rows), head)


def _small(value: bytes) -> tuple[bytes, int] | None:
    """What a record shares with those it can be decoded with, and its samples: a JSON line, or one batch."""
    if value[:1] == b"{":
        return None if b"\n" in value.rstrip() else (b"", 1)
    found = lone_batch(value) if len(value) <= _TOGETHER_BYTES else None
    return None if found is None else (value[: found[0]], found[1])


def _read_run(
    topic: str, records: Sequence[SourceRecord], run: _Run, ahead_s: float, readout: Readout
) -> None:
    """Decode a run together; where that finds anything amiss, its halves, down to the record it lies in."""
    if run.end - run.start == 1:
        return _read_one(topic, records[run.start], run.start, ahead_s, readout)
    decoded = decode(topic, run.together(records))
    of_row = np.repeat(np.arange(run.start, run.end), run.rows)
    amiss = decoded.refused or decoded.accepted != len(of_row)
    if amiss or _any_ahead(decoded, records[run.start : run.end], of_row - run.start, ahead_s):
        for half in run.halves():
            _read_run(topic, records, half, ahead_s, readout)
        return None
    readout.add(decoded, None)
    for chunk in decoded.chunks:
        readout.samples.append(Samples(chunk, of_row[chunk.batch.column("row").to_numpy()]))
    return None


def _read_one(topic: str, record: SourceRecord, index: int, ahead_s: float, readout: Readout) -> None:
    decoded = decode(topic, record.value, broker_time_ms=record.broker_time_ms, ahead_s=ahead_s)
    readout.add(decoded, index)
    for refusal in decoded.refused:
        letter = DeadLetter.of(refusal, topic, record.partition, record.offset)
        readout.dead_letters.append((index, letter))


def _any_ahead(decoded: Decoded, records: Sequence[SourceRecord], of_row: Ints, ahead_s: float) -> bool:
    if all(record.broker_time_ms is None for record in records):
        return False
    latest = np.array([2**62 if each.broker_time_ms is None else each.broker_time_ms for each in records])
    return any(
        bool(
            (
                chunk.batch.column("event_time").to_numpy()
                > latest[of_row[chunk.batch.column("row").to_numpy()]] + ahead_s * 1000
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
