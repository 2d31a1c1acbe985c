"""Inputs of fixed content: the contract's recording, and calm traffic with wrong clocks or partitions."""

import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from operators.sources.files import partitions
from tests.contract import recording

START_MS = recording.START_MS
REQUESTS = "telemetry.requests.v1"


class Record(NamedTuple):
    """One record as it is sent; ``time_ms`` paces the sending and is its Kafka timestamp."""

    topic: str
    partition: int
    value: bytes
    time_ms: int


def contract() -> list[Record]:
    """The recording that engines are held to, its partitions in order of time."""
    found: list[Record] = []
    with tempfile.TemporaryDirectory() as folder:
        recording.write(Path(folder))
        for part in partitions(Path(folder)):
            number = part.name.rpartition("/")[2]
            time = START_MS
            for batch in part.read(0, 500):
                for record in batch:
                    time = max(time, _time(record.value) or time)
                    found.append(
                        Record(part.topic, int(number) if number.isdigit() else 0, record.value, time)
                    )
    return sorted(found, key=lambda record: record.time_ms)


def _time(value: bytes) -> int | None:
    try:
        found = json.loads(value)
    except ValueError:
        return None
    moment = found.get("event_time") if isinstance(found, dict) else None
    return moment if isinstance(moment, int) and moment >= START_MS else None


def calm(minutes: int = 40, partitions: int = 2, producers: int = 4) -> Iterator[Record]:
    """Steady requests of several producers a partition, one a second each, nothing wrong with them."""
    rng = random.Random(11)
    for second in range(minutes * 60):
        for partition in range(partitions):
            for number in range(producers):
                time = START_MS + second * 1000 + number * 200 + rng.randrange(150)
                producer = f"gateway-{partition}-{number}"
                sample: dict[str, Any] = {
                    "event_time": time,
                    "request_id": f"{producer}-{second}",
                    "status": "ok",
                    "service": "chat",
                    "request_model": "m",
                    "service_version": "v1",
                    "producer": producer,
                    "ttft_s": round(rng.lognormvariate(-1.2, 0.3), 4),
                    "duration_s": round(rng.lognormvariate(1.0, 0.3), 4),
                    "output_tokens": rng.randrange(20, 400),
                }
                yield Record(REQUESTS, partition, json.dumps(sample).encode(), time)


def clock_jump(by_ms: int, seed: int) -> tuple[list[Record], str, int]:
    """Calm traffic in which one producer's clock jumps for good: records, its name, samples from there on."""
    rng = random.Random(seed)
    name = f"gateway-{rng.randrange(2)}-{rng.randrange(4)}"
    since = START_MS + rng.randrange(20, 30) * 60_000 + rng.randrange(60_000)
    records, moved = [], 0
    for record in calm():
        sample = json.loads(record.value)
        if sample["producer"] == name and record.time_ms >= since:
            sample["event_time"] += by_ms
            moved += 1
        records.append(record._replace(value=json.dumps(sample).encode()))
    return records, name, moved


def poisoned(seed: int, count: int = 40) -> tuple[list[Record], int]:
    """The contract's recording with more poison between, and how many records of it."""
    rng = random.Random(seed)
    records = contract()
    for _ in range(count):
        place = rng.randrange(len(records))
        near = next(each for each in records[place:] + records if each.topic == REQUESTS)
        kinds = (
            rng.randbytes(200).replace(b"\n", b" "),  # each line of a record is one bad sample
            b"\xff\xff\xff\xff" + rng.randbytes(60),  # begins as an Arrow stream does
            b"ARROW1\x00\x00" + rng.randbytes(60),
            b"[" * 5_000,
            b'{"event_time": 1e999, "service": "chat"}',
            b"\x00\x00\x00\x00\x01" + rng.randbytes(20).replace(b"\n", b" "),
            b"",
        )
        records.insert(place, near._replace(value=rng.choice(kinds)))
    return records, count
