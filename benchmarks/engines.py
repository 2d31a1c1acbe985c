"""Kafka to events to ClickHouse, everything included, on real servers: samples a second of each engine.

A laptop stack in a folder of its own (`pipelines.stack`), so Java and the jars have to be there, and loopback
alone should be reachable (``unshare -rn``): Beam's servers bind every interface. What is measured is the time
between the first and the last progress that the store saw, so without the submission of a job and the start
of its workers. Each engine and form is run by ``python -m benchmarks engines``.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.fold import _START_MS, _arrow, _samples
from operators.clickhouse import Store
from pipelines.config import Config, Kafka
from pipelines.engines.job import Job
from pipelines.run import start
from pipelines.stack import Stack
from schemas.topics import INPUT_TOPICS

TOPIC = "telemetry.requests.v1"
PARTITIONS = 2
#: Event time goes at this rate, whatever the wall clock does.
PER_SECOND = 2_000
#: (form, samples): enough for half a minute at the bar.
FORMS = {"arrow": 4_000_000, "json": 600_000}
BARS = {"arrow": 100_000, "json": 20_000}
#: Engine and what a job of it needs besides.
ENGINES = ("flink", "faust")


def records(form: str, samples: int) -> Iterator[bytes]:
    """Records of 1,000 samples as Arrow streams, or one JSON object each."""
    shapes = [_samples(1_000, seed) for seed in range(50)]
    place = shapes[0].schema.get_field_index("event_time")
    for number in range(samples // 1_000):
        table = shapes[number % len(shapes)]
        span = 1_000_000 // PER_SECOND
        moments = np.random.default_rng(number).integers(0, span, 1_000)
        table = table.set_column(place, "event_time", pa.array(np.sort(_START_MS + number * span + moments)))
        if "request_id" in table.schema.names:
            ids = pa.array([f"{number}-{row}" for row in range(1_000)])
            table = table.set_column(table.schema.get_field_index("request_id"), "request_id", ids)
        if form == "arrow":
            yield _arrow(table)
        else:
            yield from (
                json.dumps({k: v for k, v in row.items() if v is not None}).encode()
                for row in table.to_pylist()
            )


def produce(servers: str, form: str, samples: int) -> float:
    """Fill the topic, records in turn over its partitions; records a second."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": servers})
    for made in admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
        made.result()
    producer = Producer(
        {"bootstrap.servers": servers, "linger.ms": 20, "queue.buffering.max.messages": 500_000}
    )
    began, count = time.monotonic(), 0
    for record in records(form, samples):
        while True:
            try:
                producer.produce(TOPIC, record, partition=count % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
        if count % 1_000 == 0:
            producer.poll(0)
    producer.flush()
    return count / (time.monotonic() - began)


class Progress(Thread):
    """Asks the store twice a second how many samples are accounted for, until they are all."""

    def __init__(self, url: str, samples: int, done: Event) -> None:
        super().__init__(daemon=True)
        self._url, self._samples, self._done = url, samples, done
        self.seen: list[tuple[float, int]] = []

    def run(self) -> None:
        """Until all are in, or the run is over."""
        with Store.open(self._url) as store:
            while not self._done.wait(0.5):
                sql = (
                    "SELECT sum(n) AS n FROM (SELECT argMax(samples, revision) AS n FROM ingest_accounts "
                    "WHERE topic != '' GROUP BY run_id, topic, outcome, reason)"
                )
                found = int(store.query(sql)["n"][0].as_py() or 0)
                self.seen.append((time.monotonic(), found))

    def rate(self) -> float:
        """Samples a second from the last look before the first progress to the first look with all."""
        begun = next(i for i, (_, found) in enumerate(self.seen) if found)
        last = max(found for _, found in self.seen)
        ended = next(moment for moment, found in self.seen if found == last)
        return (last - self.seen[begun][1]) / max(1e-9, ended - self.seen[begun][0])


def measure(engine: str, form: str, client: str, parallelism: int = 1) -> dict[str, Any]:
    """One engine on one form, on a stack of its own."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        try:
            stack.up("kafka", "clickhouse", *(["flink"] if engine == "flink" else []))
            produced = produce(stack.kafka, form, FORMS[form])
            on_flink = (*stack.flink_options(), f"--parallelism={parallelism}", "--sdk_worker_parallelism=2")
            config = Config(
                input=f"kafka://{stack.kafka}",
                output=f"kafka://{stack.kafka}",
                clickhouse=stack.clickhouse,
                engine="beam" if engine == "flink" else "faust",
                runner="flink" if engine == "flink" else "fnapi",
                engine_options=on_flink if engine == "flink" else (),
                kafka=Kafka(client=client, topics=(TOPIC,)),  # type: ignore[arg-type]
            )
            with Store.open(stack.clickhouse) as store:
                store.migrate()
            done = Event()
            progress = Progress(stack.clickhouse, FORMS[form], done)
            progress.start()
            began = time.monotonic()
            report = start(Job(config, until_end=True))
            done.set()
            progress.join()
            return {
                "samples_per_s": progress.rate(),
                "over_bar": progress.rate() / BARS[form],
                "wall_s": time.monotonic() - began,
                "accepted": report.accounts[TOPIC]["accepted"],
                "events": sum(report.events.values()),
                "series": report.series,
                "produced_records_per_s": produced,
            }
        finally:
            stack.down()


def run() -> dict[str, Any]:
    """Every engine that is built in, on both forms, with confluent-kafka."""
    from pipelines.run import ENGINES as BUILT

    found: dict[str, Any] = {"topics": len(INPUT_TOPICS)}
    for engine in ENGINES:
        if engine == "flink" or engine in BUILT:
            for form in FORMS:
                found[f"{engine} {form}"] = measure(engine, form, "confluent-kafka")
    return found
