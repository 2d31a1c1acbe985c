"""Beam on a real Flink cluster: the same events and accounts as the local loop, whatever is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from operators.clickhouse import Store
from operators.sources.files import partitions
from pipelines.config import Config, Kafka, resolve
from pipelines.engines.flink import Flink
from pipelines.engines.job import Job
from pipelines.engines.report import Report, by_outcome
from pipelines.run import start
from pipelines.stack import Stack
from schemas.rows import Count
from tests.contract import recording
from tests.engines.broker import until
from tests.engines.topics import recreate

Record = tuple[str, int, bytes]
Key = tuple[str, int, str]
OUTPUTS = ("anomalies.v1", "incidents.v1")
#: Tables whose rows have no second version: raw, they are as many as by key.
TABLES = ("signal_buckets", "anomaly_windows", "change_revisions")
ACCOUNTS = """
SELECT topic, outcome, reason, toInt64(sum(n)) AS n FROM (
    SELECT topic, outcome, reason, argMax(samples, revision) AS n
    FROM ingest_accounts WHERE topic != '' GROUP BY run_id, topic, outcome, reason
) GROUP BY ALL
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recording")
    recording.write(root)
    return root


@pytest.fixture(scope="module")
def records(recorded: Path) -> list[Record]:
    """The recording in order of offsets, its partitions taking turns."""
    queues = []
    for part in partitions(recorded):
        number = part.name.rpartition("/")[2]
        values = [record.value for batch in part.read(0, 500) for record in batch]
        queues.append([(part.topic, int(number) if number.isdigit() else 0, value) for value in values])
    longest = max(map(len, queues))
    turns = [(n * longest // len(queue), queue[n]) for queue in queues for n in range(len(queue))]
    return [record for _, record in sorted(turns, key=lambda turn: turn[0])]


class Loop(NamedTuple):
    """What the local loop makes of the recording: revisions of events, refusals, rows, raw and by key."""

    report: Report
    events: Counter[Key]
    dead: Counter[Any]
    rows: dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def loop(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Loop:
    place = tmp_path_factory.mktemp("local")
    config = resolve(
        input=str(recorded), output=str(place / "out"), clickhouse=f"chdb:{place / 'db'}", engine="local"
    )
    report = start(Job(config, until_end=True))

    def lines(pattern: str) -> Iterator[Any]:
        for path in (place / "out").glob(pattern):
            yield from map(json.loads, path.read_text().splitlines())

    events = Counter(_key(line["data"]) for line in lines("anomalies.v1/*.ndjson"))
    letters = lines("*.dlq/*.ndjson")
    dead = Counter((letter["topic"], letter["offset"], letter["reason"]) for letter in letters)
    assert len(events) > 10
    assert dead
    return Loop(report, events, dead, raw_and_final(config.clickhouse))


def raw_and_final(url: str) -> dict[str, tuple[int, int]]:
    """Rows of each table, as they were inserted and by key."""
    with Store.open(url) as store:

        def count(what: str) -> int:
            return int(store.query(f"SELECT count() AS n FROM {what}")["n"][0].as_py())

        return {table: (count(table), count(f"{table} FINAL")) for table in TABLES}


@pytest.fixture(autouse=True)
def _slots(stack: Stack) -> Iterator[None]:
    """A test that failed leaves no job behind to hold the slots that the next one needs."""
    yield
    flink = Flink(stack.flink_rest)
    for job in flink._ask("GET", "/jobs/overview")["jobs"]:
        if job["state"] in ("RUNNING", "RESTARTING", "CREATED"):
            flink.cancel(job["jid"])


class Place:
    """Empty topics, an empty database and a group that nobody knows, on the cluster of the test run."""

    def __init__(self, stack: Stack, records: Sequence[Record], name: str, folder: Path) -> None:
        stack.up("kafka", "flink", "clickhouse")
        self.stack, self.folder = stack, folder
        parts = Counter({topic: 1 + max(n for t, n, _ in records if t == topic) for topic, _, _ in records})
        self.topics = tuple(parts)
        recreate(stack.kafka, parts | dict.fromkeys([*OUTPUTS, *(f"{topic}.dlq" for topic in parts)], 1))
        self.config = Config(
            input=f"kafka://{stack.kafka}",
            output=f"kafka://{stack.kafka}",
            clickhouse=f"{stack.clickhouse.rpartition('/')[0]}/{name}",
            engine="beam",
            runner="flink",
            engine_options=(*stack.flink_options(), "--parallelism=2", "--checkpointing_interval=1000"),
            kafka=Kafka(group=name, topics=self.topics),
        )

    def send(self, records: Sequence[Record], over_s: float = 0.0) -> None:
        """Send in order, spread over so many seconds."""
        producer = Producer({"bootstrap.servers": self.stack.kafka, "linger.ms": 5})
        for index, (topic, number, value) in enumerate(records):
            producer.produce(topic, value, partition=number)
            if over_s and index % 100 == 99:
                producer.flush()
                time.sleep(over_s * 100 / len(records))
        assert producer.flush(30) == 0

    def command(self, *options: str) -> "subprocess.Popen[bytes]":
        """``driftline run`` in a process of its own, following."""
        place, name = self.config, self.config.kafka.group
        file = self.folder / "config.yaml"
        file.write_text(f"kafka:\n  group: {name}\n  topics: [{', '.join(self.topics)}]\n")
        driftline = [sys.executable, "-m", "pipelines.cli", "run", "--config", str(file), "--json"]
        ends = ["--input", str(place.input), "--output", str(place.output), "--clickhouse", place.clickhouse]
        how = ["--engine", "beam", "--runner", "flink", "--", *place.engine_options, *options]
        with (self.folder / "run.json").open("wb") as out, (self.folder / "run.log").open("wb") as log:
            return subprocess.Popen(
                [*driftline, *ends, *how], stdout=out, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What the database answers; nothing while a table is not there."""
        with Store.open(self.config.clickhouse) as store:
            tables = {row["name"] for row in store.query("SHOW TABLES").to_pylist()}
            return store.query(sql).to_pylist() if "ingest_accounts" in tables else []

    def accounts(self) -> dict[str, dict[str, int]]:
        """By topic and outcome, over all runs."""
        return by_outcome(Count(*row.values()) for row in self.rows(ACCOUNTS))

    def published(self) -> Counter[Key]:
        """Revisions of events on the anomalies topic."""
        return Counter(_key(json.loads(value)) for _, value in _read(self.stack.kafka, "anomalies.v1"))

    def refused(self) -> Counter[Any]:
        """Dead letters by topic, offset and reason."""
        found: Counter[Any] = Counter()
        for topic in self.topics:
            for headers, _ in _read(self.stack.kafka, f"{topic}.dlq"):
                told = {name.removeprefix("driftline_"): value.decode() for name, value in headers}
                found[told["topic"], int(told["offset"]), told["reason"]] += 1
        return found

    def committed(self) -> dict[str, int]:
        """The group's offsets, summed by topic."""
        consumer = Consumer({"bootstrap.servers": self.stack.kafka, "group.id": self.config.kafka.group})
        places = [TopicPartition(topic, n) for topic in self.topics for n in range(2)]
        found = consumer.committed(places, timeout=10)
        consumer.close()
        return {
            topic: sum(max(0, place.offset) for place in found if place.topic == topic)
            for topic in self.topics
        }


def _key(event: dict[str, Any]) -> Key:
    return event["event_id"], event["revision"], event["status"]


def _read(servers: str, topic: str) -> list[tuple[Any, bytes]]:
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "test", "isolation.level": "read_committed"}
    )
    place = TopicPartition(topic, 0, 0)
    _, end = consumer.get_watermark_offsets(place, timeout=10)
    consumer.assign([place])
    found: list[tuple[Any, bytes]] = []
    while len(found) < end:
        records = [message for message in consumer.consume(500, 1.0) if not message.error()]
        found += [(record.headers() or [], record.value()) for record in records]
    consumer.close()
    return found


def test_the_same_events_and_accounts_as_the_local_loop(
    stack: Stack, records: list[Record], loop: Loop, tmp_path: Path
) -> None:
    report, events, dead, _ = loop
    place = Place(stack, records, "flink_calm", tmp_path)
    place.send(records)
    found = start(Job(place.config, until_end=True))
    assert found.ending == "done"
    assert place.published() == events
    assert found.accounts == report.accounts == place.accounts()
    assert found.reasons == report.reasons
    assert set(place.refused()) == set(dead)  # at least once, each with its place
    for figure in ("events", "revisions", "windows", "buckets", "series"):
        assert getattr(found, figure) == getattr(report, figure)
    assert raw_and_final(place.config.clickhouse) == loop.rows
    read = Counter(topic for topic, _, _ in records)
    until(lambda: place.committed() == dict(read), "offsets of all that was read")


def test_nothing_is_lost_or_doubled_when_processes_are_killed_and_the_job_is_stopped_and_resumed(
    stack: Stack, records: list[Record], loop: Loop, tmp_path: Path
) -> None:
    report, events, dead, _ = loop
    place = Place(stack, records, "flink_faults", tmp_path)
    flink = Flink(stack.flink_rest)
    quarters = [records[len(records) * n // 4 : len(records) * (n + 1) // 4] for n in range(4)]
    sent = 0

    def send_and(kill: Callable[[], object]) -> None:
        """Send the next quarter over some seconds, kill meanwhile, and wait until all of it is counted."""
        nonlocal sent
        sending = threading.Thread(target=place.send, args=(quarters.pop(0), 4.0))
        sending.start()
        time.sleep(2)
        kill()
        sending.join()
        sent += len(records) // 4
        until(lambda: _total(place) >= sent - 50, "samples after the kill", 240)

    def end_the_job_server_and_a_worker() -> None:
        stack.kill("job-server")
        os.kill(_worker(stack), signal.SIGKILL)

    running = place.command()
    try:
        send_and(lambda: None)
        send_and(lambda: (stack.kill("taskmanager-0"), stack.start("taskmanager-0")))
        send_and(end_the_job_server_and_a_worker)
        running.send_signal(signal.SIGTERM)
        assert running.wait(240) == 0, (place.folder / "run.log").read_text()
    finally:
        running.kill()
        running.wait()
    stack.start("job-server")
    first = json.loads((tmp_path / "run.json").read_text())
    assert first["ending"] == "stopped"
    assert not [job for job in flink._ask("GET", "/jobs/overview")["jobs"] if job["state"] == "RUNNING"]
    place.send(quarters.pop())
    resumed = Config(
        **{name: getattr(place.config, name) for name in Config.__struct_fields__}
        | {"engine_options": (*place.config.engine_options, f"--savepoint_path={first['savepoint']}")}
    )
    found = start(Job(resumed, until_end=True))
    assert found.ending == "done"
    assert place.accounts() == report.accounts
    assert set(place.published()) == set(events)
    assert set(place.refused()) == set(dead)
    assert raw_and_final(place.config.clickhouse) == loop.rows


def _total(place: Place) -> int:
    return sum(account["in"] for account in place.accounts().values())


def _worker(stack: Stack) -> int:
    """A Python worker of the pool."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"sdk_worker_main" in command and str(stack.folder).encode() in environment:
                return int(entry.name)
    raise AssertionError("no worker runs")
