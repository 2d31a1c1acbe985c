"""Messages for shard tests: request samples folded as the source does, one delivery after another."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from operators.fold import fold
from operators.message import Message
from operators.settings import Settings
from schemas.chunk import Chunk, Form
from tests.arrow import stream

NAME = pa.dictionary(pa.int32(), pa.utf8())
START = 1_767_571_200_000
TOPIC = "telemetry.requests.v1"


def chunk(samples: Sequence[dict[str, Any]], form: Form = "requests", topic: str = TOPIC) -> Chunk:
    """Samples as accepted, columnar."""
    columns = {}
    for name in dict.fromkeys(name for sample in samples for name in sample):
        values = [sample.get(name) for sample in samples]
        text = isinstance(next(value for value in values if value is not None), str)
        columns[name] = pa.array(values, pa.utf8()).cast(NAME) if text else pa.array(values)
    columns["row"] = pa.array(range(len(samples)), pa.int32())
    return Chunk(topic, form, pa.RecordBatch.from_pydict(columns))


def cells(
    samples: Sequence[dict[str, Any]], settings: Settings, form: Form = "requests", topic: str = TOPIC
) -> bytes:
    """The samples' cells as an Arrow IPC stream."""
    batch = fold([chunk(samples, form, topic)], settings)
    return stream(batch)


def deliveries(
    batches: Iterable[Sequence[dict[str, Any]]],
    settings: Settings,
    *,
    form: Form = "requests",
    topic: str = TOPIC,
    partition: str | None = None,
    **more: Any,
) -> Iterator[Message]:
    """One message per batch of samples, in a chain; the partition's time is the newest event time so far."""
    time, after = -1, -1
    name = partition or f"{topic}/0"
    for number, samples in enumerate(batches):
        ledger: dict[int, int] = {}
        bucket_ms = settings.windows.bucket_s * 1000
        for sample in samples:
            time = max(time, sample["event_time"])
            start = sample["event_time"] // bucket_ms * bucket_ms
            ledger[start] = ledger.get(start, 0) + 1
        yield Message(
            partition=name,
            after=after,
            offset=number,
            time_ms=None if time < 0 else time,
            partitions=(name,),
            cells=cells(samples, settings, form, topic) if samples else None,
            ledger={topic: ledger},
            **more,
        )
        after = number
