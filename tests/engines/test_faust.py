"""Faust on a real Kafka: the same events and accounts as the local loop, however its workers come and go."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from operators.clickhouse import Store
from operators.sources.files import partitions
from pipelines.config import Config, Kafka, resolve
from pipelines.engines.job import Job
from pipelines.engines.report import Report
from pipelines.run import start
from pipelines.stack import Stack
from pipelines.stack.ports import Ports
from tests.contract import recording
from tests.engines.broker import until
from tests.engines.topics import recreate

Record = tuple[str, int, bytes]
TABLES = ("signal_buckets", "anomaly_windows", "change_revisions")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recording")
    recording.write(root)
    return root


@pytest.fixture(scope="module")
def records(recorded: Path) -> list[Record]:
    """The recording with its partitions shuffled into each other, each in its own order."""
    queues = []
    for part in partitions(recorded):
        number = part.name.rpartition("/")[2]
        values = [record.value for batch in part.read(0, 500) for record in batch]
        queues.append([(part.topic, int(number) if number.isdigit() else 0, value) for value in values])
    order = [index for index, queue in enumerate(queues) for _ in queue]
    random.Random(3).shuffle(order)
    turns = [iter(queue) for queue in queues]
    return [next(turns[index]) for index in order]


class Outcome:
    """What came of a run: revisions of events, refused samples, accounts, and rows, raw and by key."""

    def __init__(self, report: Report, events: Sequence[Any], dead: Sequence[Any], url: str) -> None:
        self.report = report
        self.revisions = Counter((event["event_id"], event["revision"], event["status"]) for event in events)
        self.dead = Counter((letter["topic"], letter["reason"]) for letter in dead)
        with Store.open(url) as store:
            self.raw, self.rows = {}, {}
            for table in TABLES:
                [count] = store.query(f"SELECT count() AS n FROM {table}").to_pylist()
                self.raw[table] = count["n"]
                self.rows[table] = store.query(f"SELECT * EXCEPT ingested_at FROM {table} FINAL ORDER BY ALL")


@pytest.fixture(scope="module")
def loop(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    place = tmp_path_factory.mktemp("local")
    config = resolve(
        input=str(recorded), output=str(place / "out"), clickhouse=f"chdb:{place / 'db'}", engine="local"
    )
    report = start(Job(config, until_end=True))

    def lines(pattern: str) -> list[Any]:
        paths = (place / "out").glob(pattern)
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    events = [line["data"] for line in lines("anomalies.v1/*.ndjson")]
    return Outcome(report, events, lines("*.dlq/*.ndjson"), config.clickhouse)


class Place:
    """Empty topics, an empty database, and a group that nobody knows: where one test runs its workers."""

    def __init__(self, stack: Stack, records: Sequence[Record], name: str, folder: Path) -> None:
        self.servers = stack.kafka
        self.folder = folder
        self.topics = {topic: 0 for topic, _, _ in records}
        for topic, number, _ in records:
            self.topics[topic] = max(self.topics[topic], number + 1)
        outputs = ("anomalies.v1", "incidents.v1", *(f"{topic}.dlq" for topic in self.topics))
        recreate(self.servers, self.topics | dict.fromkeys(outputs, 1))
        self.config = Config(
            input=f"kafka://{self.servers}",
            output=f"kafka://{self.servers}",
            clickhouse=stack.clickhouse.rpartition("/")[0] + f"/{name}",
            engine="faust",
            kafka=Kafka(group=name, topics=tuple(self.topics)),
        )
        self.file = folder / "config.yaml"
        self.file.write_text(
            f"input: {self.config.input}\noutput: {self.config.output}\n"
            f"clickhouse: {self.config.clickhouse}\n"
            f"kafka:\n  group: {name}\n  topics: [{', '.join(self.topics)}]\n"
        )

    def send(self, records: Sequence[Record], over_s: float = 0.0) -> None:
        """Send in order, spread over so many seconds."""
        producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 5})
        pause = over_s / max(1, len(records) // 50)
        for index, (topic, number, value) in enumerate(records):
            producer.produce(topic, value, partition=number)
            if index % 50 == 49 and pause:
                producer.flush()
                time.sleep(pause)
        producer.flush()

    @contextmanager
    def worker(self) -> Iterator["Running"]:
        """``faust -A pipelines.faust_app worker`` in a process of its own."""
        with _process(self.file, self.folder) as running:
            yield running

    def finish(self) -> Outcome:
        """Run one worker to the end of what there is now; what came of all of it."""
        report = start(Job(self.config, until_end=True))
        events = [json.loads(value) for _, value in _read(self.servers, "anomalies.v1")]
        letters = [
            {name.removeprefix("driftline_"): value.decode() for name, value in headers}
            for topic in self.topics
            for headers, _ in _read(self.servers, f"{topic}.dlq")
        ]
        return Outcome(report, events, letters, self.config.clickhouse)


class Running:
    """A worker process and its own word on what it holds."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process = process
        self._url = f"http://127.0.0.1:{port}/driftline/"
        self._log = log

    def status(self) -> dict[str, Any]:
        """Partitions and shards here; empty while nobody answers."""
        if self.process.poll() is not None:
            raise AssertionError(f"the worker ended:\n{self._log.read_text()[-3000:]}")
        with suppress(OSError):
            return dict(json.loads(urllib.request.urlopen(self._url, timeout=2).read()))
        return {}

    def holds(self, what: str) -> Any:
        """Its partitions or shards."""
        return self.status().get(what) or {}

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        self.process.kill()
        self.process.wait()


@contextmanager
def _process(config: Path, folder: Path) -> Iterator[Running]:
    port = Ports.free().kafka
    log = folder / f"worker-{port}.log"
    faust = str(Path(sys.executable).parent / "faust")
    command = [faust, "-A", "pipelines.faust_app", "worker", "-l", "warn", "--web-port", str(port)]
    environment = os.environ | {"DRIFTLINE_CONFIG": str(config), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=folder)
    try:
        yield Running(process, port, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(120)


def _read(servers: str, topic: str) -> list[tuple[list[tuple[str, bytes]], bytes]]:
    """Headers and values of everything in a topic of one partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "reads-alone",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    found = []
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        while True:
            for record in consumer.consume(500, 0.2):
                if record.error():
                    if record.error().code() == KafkaError._PARTITION_EOF:
                        return found
                    continue
                found.append((record.headers() or [], record.value()))
    except KafkaException as problem:
        raise AssertionError(f"{topic}: {problem}") from None
    finally:
        consumer.close()


@pytest.fixture
def place(stack: Stack, records: list[Record], request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    stack.up("kafka", "clickhouse")
    return Place(stack, records, re.sub(r"\W+", "_", request.node.name).strip("_"), tmp_path)


def equal(found: Outcome, loop: Outcome) -> None:
    """Nothing lost, nothing doubled."""
    assert set(found.revisions) == set(loop.revisions)
    assert found.report.accounts == loop.report.accounts
    assert found.report.reasons == loop.report.reasons
    assert set(found.dead) == set(loop.dead)
    for table in TABLES:
        assert found.rows[table].num_rows > 0
        assert found.rows[table].equals(loop.rows[table])
        assert found.raw[table] == loop.raw[table]


def test_one_worker_gives_what_the_loop_gives(place: Place, records: list[Record], loop: Outcome) -> None:
    place.send(records)
    found = place.finish()
    equal(found, loop)
    assert found.revisions == loop.revisions
    assert found.dead == loop.dead
    for figure in ("events", "revisions", "windows", "buckets", "series", "incidents"):
        assert getattr(found.report, figure) == getattr(loop.report, figure)
    again = place.finish()
    assert again.report.accounts == loop.report.accounts
    assert again.revisions == found.revisions


def test_partitions_and_shards_move_with_their_state(
    place: Place, records: list[Record], loop: Outcome
) -> None:
    half = len(records) // 2
    with place.worker() as first:
        place.send(records[:half])
        until(lambda: len(first.holds("shards")) == 4, "the first worker", 180)
        with place.worker() as second:
            until(lambda: second.holds("shards") and second.holds("partitions"), "the second worker", 180)
            until(lambda: len(first.holds("shards")) == 2, "the first worker's share")
            place.send(records[half:], over_s=2.0)
            held = set(first.holds("partitions")) | set(second.holds("partitions"))
            assert {f"{topic}/{n}" for topic, count in place.topics.items() for n in range(count)} == held
            assert not set(first.holds("shards")) & set(second.holds("shards"))
    equal(place.finish(), loop)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_worker_killed_under_load(place: Place, records: list[Record], loop: Outcome, seed: int) -> None:
    rng = random.Random(seed)
    cut = rng.randrange(len(records) // 3, len(records))
    with place.worker() as worker:
        until(lambda: len(worker.holds("shards")) == 4, "the worker", 180)
        place.send(records[:cut], over_s=rng.uniform(1, 4))
        worker.kill()
    place.send(records[cut:])
    equal(place.finish(), loop)
