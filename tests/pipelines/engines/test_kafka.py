"""Kafka in, events and dead letters out, on both engines, against librdkafka's in-process broker."""

from pathlib import Path

import pytest
from confluent_kafka import Producer

from operators.adapters.kafka import KafkaOptions, connect
from pipelines.config import Config, Kafka, resolve
from pipelines.engines.job import Job
from pipelines.run import start
from tests.contract import recording

TOPIC = "telemetry.requests.v1"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A broker that holds the recording's requests, each in the partition of its folder."""
    root = tmp_path_factory.mktemp("recording")
    recording.write(root)
    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "linger.ms": 20})
    brokers = producer.list_topics(timeout=60).brokers
    for number in (0, 1):
        for line in (root / TOPIC / str(number) / "part.ndjson").read_bytes().splitlines():
            producer.produce(TOPIC, line, partition=number, timestamp=recording.START_MS + 3_600_000)
            producer.poll(0)
    assert producer.flush(120) == 0
    _kept.append(producer)  # the broker lives as long as its producer
    return ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())


_kept: list[Producer] = []


def config(servers: str, place: Path, engine: str) -> Config:
    kafka = Kafka(api_version=(2, 3), group=engine, topics=(TOPIC,))
    return resolve(
        input=f"kafka://{servers}",
        output=f"kafka://{servers}",
        clickhouse=f"chdb:{place / 'db'}",
        engine=engine,
        correlate_s=1e9,
        kafka=kafka,
    )


def held(servers: str, topic: str) -> int:
    """Records the broker has of a topic, over the mock's four partitions."""
    client = connect("kafka-python", KafkaOptions(servers=servers, group="count", api_version=(2, 3)))
    try:
        return sum(client.ends([(topic, number) for number in range(4)]).values())
    finally:
        client.close()


@pytest.mark.parametrize("engine", ["local", "beam"])
def test_everything_is_read_written_and_committed(servers: str, tmp_path: Path, engine: str) -> None:
    asked = config(servers, tmp_path, engine)
    before = {topic: held(servers, topic) for topic in ("anomalies.v1", f"{TOPIC}.dlq")}
    report = start(Job(asked, until_end=True))
    account = report.accounts[TOPIC]
    assert account["in"] == sum(count for outcome, count in account.items() if outcome != "in")
    assert all(account[outcome] > 0 for outcome in ("accepted", "refused", "late", "duplicate"))
    assert report.revisions > 0
    assert held(servers, "anomalies.v1") - before["anomalies.v1"] == report.revisions
    assert held(servers, f"{TOPIC}.dlq") - before[f"{TOPIC}.dlq"] == account["refused"]
    client = connect("kafka-python", KafkaOptions(servers=servers, group=engine, api_version=(2, 3)))
    try:
        places = [(TOPIC, 0), (TOPIC, 1)]
        client.assign(dict.fromkeys(places))
        committed = {place: client.position(place) for place in places}
        assert committed == client.ends(places)
    finally:
        client.close()


@pytest.mark.parametrize("engine", ["local", "beam"])
def test_later_runs_find_nothing_left(servers: str, tmp_path: Path, engine: str) -> None:
    for _ in range(3):
        report = start(Job(config(servers, tmp_path, engine), until_end=True))
    assert report.accounts == {}
