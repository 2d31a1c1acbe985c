"""Reading from a real broker with each client library: bare, and through the reader's intake and fold.

The broker is started here, on loopback (``driftline stack``'s). Samples a second of wall clock, on whatever
cores there are; ``core`` is decode, intake and fold of the same records in memory, by CPU time.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from benchmarks.decode import request
from benchmarks.fold import _START_MS, _arrow
from benchmarks.pipeline import _tables
from benchmarks.reliability.topics import recreate
from operators.adapters.kafka import CLIENTS, KafkaOptions, KafkaSource, connect
from operators.adapters.reader import Reader
from operators.intake import Intake, SourceRecord
from operators.settings import Settings
from pipelines.stack import Stack

TOPIC = "telemetry.requests.v1"
PARTITIONS = 4
RATE = 20_000


def _objects(count: int) -> list[bytes]:
    """Single JSON objects, ``RATE`` a second of event time."""
    rows = ({**request(index), "event_time": _START_MS + index * 1000 // RATE} for index in range(count))
    return [json.dumps(row, separators=(",", ":")).encode() for row in rows]


def _fill(servers: str, topic: str, values: Sequence[bytes]) -> None:
    recreate(servers, {topic: PARTITIONS}, {})
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 20, "message.max.bytes": 17 << 20})
    for index, value in enumerate(values):
        while True:
            try:
                producer.produce(topic, value, partition=index % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)


def _bare(library: str, options: KafkaOptions, topic: str, count: int) -> float:
    client = connect(library, options)
    client.assign(dict.fromkeys(client.partitions([topic]), 0))
    began, found = time.perf_counter(), 0
    while found < count:
        found += sum(map(len, client.poll((), 0.5).values()))
    spent = time.perf_counter() - began
    client.close()
    return count / spent


def _through(library: str, options: KafkaOptions, samples: int) -> float:
    source = KafkaSource(options, [TOPIC], client=library)
    reader = Reader(source, Settings(), until_end=True)
    began, accepted = time.perf_counter(), 0
    while accepted < samples:
        for step in reader.step(time.monotonic()):
            accepted += step.delivery.accounts.accepted[TOPIC]
    spent = time.perf_counter() - began
    reader.close()
    return samples / spent


def _core(values: Sequence[bytes], samples: int, delivery: int) -> float:
    records = [SourceRecord(TOPIC, f"{TOPIC}/0", index, value, None) for index, value in enumerate(values)]
    intake = Intake(TOPIC, f"{TOPIC}/0", Settings())
    began = time.process_time()
    for first in range(0, len(records), delivery):
        intake.take(records[first : first + delivery])
    return samples / (time.process_time() - began)


def run(records: int = 100_000, large: int = 400) -> dict[str, Any]:
    """Records and samples a second by library and kind of record."""
    small, objects = [b"x" * 100] * records, _objects(records // 2)
    arrow = [_arrow(table) for table in _tables(large, RATE)]
    rows: dict[str, dict[str, float]] = {library: {} for library in CLIENTS}
    with tempfile.TemporaryDirectory() as name:
        stack = Stack(Path(name))
        try:
            stack.up("kafka")
            for column, values, samples in (
                ("100 B, records/s bare", small, 0),
                ("JSON objects", objects, len(objects)),
                ("Arrow of 1,000", arrow, large * 1_000),
            ):
                _fill(stack.kafka, TOPIC, values)
                for library, row in rows.items():
                    options = KafkaOptions(servers=stack.kafka, group=f"{library}-{column}")
                    bare = _bare(library, options, TOPIC, len(values))
                    if not samples:
                        row[column] = bare
                        continue
                    row[f"{column}, samples/s bare"] = bare * samples / len(values)
                    row[f"{column}, samples/s read, decoded, folded"] = _through(library, options, samples)
        finally:
            stack.down()
    return {
        "libraries": rows,
        "core": {
            f"JSON objects, {delivery} a delivery, samples/s": _core(objects, len(objects), delivery)
            for delivery in (100, 1_000, 10_000)
        },
    }
