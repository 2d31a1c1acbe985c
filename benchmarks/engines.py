"""Kafka to events to ClickHouse, everything included, on real servers: samples a second of each engine.

A laptop stack in a folder of its own (`pipelines.stack`), so Java and the jars have to be there, and loopback
alone should be reachable (``unshare -rn``): Beam's servers bind every interface. What is measured is the time
between the first and the last progress that the store saw, so without the submission of a job and the start
of its workers. Beside it stand the CPU seconds of all processes in that time, broker and store too, and how
many cores other work on the machine took meanwhile. Each engine and form is run by ``python -m benchmarks
engines``.
"""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import numpy as np
import psutil
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

    from benchmarks.reliability.topics import recreate

    recreate(servers, {TOPIC: PARTITIONS}, {})
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


class Look(NamedTuple):
    """At a moment: samples in the store, CPU seconds of our processes by name, and of all the machine."""

    moment: float
    samples: int
    ours: Counter[str]
    everyones: float


class Progress(Thread):
    """Asks the store twice a second how many samples are accounted for, until the run is over."""

    def __init__(self, stack: Stack, done: Event) -> None:
        super().__init__(daemon=True)
        self._stack, self._done = stack, done
        self.looks: list[Look] = []

    def run(self) -> None:
        """Look, until the run is over."""
        sql = (
            "SELECT sum(n) AS n FROM (SELECT argMax(samples, revision) AS n FROM ingest_accounts "
            "WHERE topic != '' GROUP BY run_id, topic, outcome, reason)"
        )
        with Store.open(self._stack.clickhouse) as store:
            while not self._done.wait(0.5):
                found = int(store.query(sql)["n"][0].as_py() or 0)
                machine = psutil.cpu_times()
                busy = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice
                self.looks.append(Look(time.monotonic(), found, cpu_seconds(self._stack), busy))

    def figures(self) -> dict[str, float]:
        """From the first look that saw any to the first that saw all."""
        first = next(look for look in self.looks if look.samples)
        most = max(look.samples for look in self.looks)
        last = next(look for look in self.looks if look.samples == most)
        wall, samples = max(1e-9, last.moment - first.moment), last.samples - first.samples
        ours = last.ours - first.ours
        busiest = {f"CPU seconds of {name}": spent for name, spent in ours.most_common(4)}
        return {
            "samples_per_s": samples / wall,
            "samples_per_cpu_s": samples / max(1e-9, ours.total()),
            "cores_of_others": (last.everyones - first.everyones - ours.total()) / wall,
        } | busiest


def cpu_seconds(stack: Stack) -> Counter[str]:
    """Of this process, and of each of the stack's with all it started."""
    spent: Counter[str] = Counter({"driver": time.process_time()})
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # ended meanwhile, or another user's
            name, _, folder = process.environ().get("DRIFTLINE_STACK_PROCESS", "").partition("@")
            if folder == str(stack.folder):
                times = process.cpu_times()
                spent[name] += times.user + times.system
    return spent


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
            progress = Progress(stack, done)
            progress.start()
            began = time.monotonic()
            report = start(Job(config, until_end=True))
            done.set()
            progress.join()
            figures = progress.figures()
            return figures | {
                "over_bar": figures["samples_per_s"] / BARS[form],
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
