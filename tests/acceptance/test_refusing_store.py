"""A ClickHouse that refuses ends the run, says why, and leaves Kafka's offsets where they were."""

import json
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Producer

from operators.adapters.kafka import KafkaOptions, connect
from operators.clickhouse import Store
from tests.acceptance import poison
from tests.acceptance.command import here

TOPIC = "telemetry.requests.v1"
OTHER = "somebody.elses.v1"
FAR_MS = 300_001
GOOD = 400
PATIENT = {"bootstrap_timeout_s": 180.0, "timeout_s": 180.0}


@pytest.fixture(scope="module")
def broker() -> tuple[Producer, str]:
    """A broker that holds good requests, one from the future, and a topic that driftline does not know."""
    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "linger.ms": 20})
    brokers = producer.list_topics(timeout=60).brokers
    for second in range(GOOD):
        value = json.dumps(poison.request(second)).encode()
        producer.produce(TOPIC, value, partition=0, timestamp=poison.START_MS + second * 1000)
    ahead = json.dumps(poison.request(0, event_time=poison.START_MS + FAR_MS, request_id="far"))
    producer.produce(TOPIC, ahead.encode(), partition=0, timestamp=poison.START_MS)
    text = json.dumps({"prompt": poison.CANARY}).encode()
    producer.produce(OTHER, text, partition=0, timestamp=poison.START_MS)
    assert producer.flush(120) == 0
    return producer, ",".join(f"{each.host}:{each.port}" for each in brokers.values())


def committed(servers: str, group: str, topic: str = TOPIC) -> int:
    client = connect(
        "kafka-python", KafkaOptions(servers=servers, group=group, api_version=(2, 3), **PATIENT)
    )
    try:
        client.assign({(topic, 0): None})
        return client.position((topic, 0))
    finally:
        client.close()


def config(folder: Path, servers: str, *, engine: str, database: str) -> None:
    (folder / "c.yaml").write_text(
        f"input: kafka://{servers}\noutput: out-{engine}\nclickhouse: chdb:{database}\nengine: {engine}\n"
        f"correlate: 1h\nkafka:\n  api_version: [2, 3]\n  group: {engine}\n"
        f"  topics: [{TOPIC}, {OTHER}]\n"
    )


@pytest.mark.parametrize("engine", ["local", "beam"])
def test_nothing_is_lost_to_a_store_that_refuses(
    broker: tuple[Producer, str],
    tmp_path: Path,
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    driftline = partial(here, tmp_path, monkeypatch=monkeypatch, capfd=capfd)
    servers = broker[1]
    with Store.open(f"chdb:{tmp_path / 'broken'}") as store:
        store.migrate()
        store.command("DROP TABLE driftline.signal_buckets")  # inserts into it are refused from now on
    config(tmp_path, servers, engine=engine, database="broken")
    answer = driftline("run", "--config", "c.yaml", "--until-end")
    assert answer.code == 1
    (why,) = (line for line in answer.err.splitlines() if line.startswith("driftline: "))
    assert "signal_buckets" in why
    assert "Traceback" not in answer.err
    assert committed(servers, engine) == 0
    # Its one record is a dead letter: a bundle of it alone owes the store nothing, and may be done with.
    done_with = committed(servers, engine, OTHER) == 1

    config(tmp_path, servers, engine=engine, database="whole")
    answer = driftline("run", "--config", "c.yaml", "--until-end", "--json")
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert report["accounts"][TOPIC] | {"in": 0} == {
        "in": 0, "accepted": GOOD, "refused": 1, "ignored": 0, "late": 0, "duplicate": 0,
    }  # fmt: skip
    assert [TOPIC, "refused", "future_time", 1] in report["reasons"]
    assert ([OTHER, "refused", "unknown_topic", 1] in report["reasons"]) is not done_with
    assert committed(servers, engine) == GOOD + 1
    dead = "".join(path.read_text() for path in (tmp_path / f"out-{engine}").rglob("*.ndjson"))
    assert "future_time" in dead
    assert "unknown_topic" in dead
    assert poison.CANARY not in dead + answer.out + answer.err
