"""The Kafka sink against librdkafka's in-process broker."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from operators.adapters.kafka import CLIENTS, KafkaOptions, OutRecord
from operators.dead_letters import DeadLetter
from operators.emission import Emission
from operators.sinks import KafkaSink, SinkError
from schemas.events import parse_anomaly
from tests.outputs import event


@pytest.fixture
def servers() -> Iterator[str]:
    mock = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    brokers = mock.list_topics(timeout=60).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    del mock


@pytest.fixture(params=sorted(CLIENTS))
def sink(servers: str, request: pytest.FixtureRequest) -> Iterator[KafkaSink]:
    patience = {"bootstrap_timeout_s": 60.0, "timeout_s": 60.0}
    opened = KafkaSink(KafkaOptions(servers=servers, api_version=(2, 3), **patience), request.param)
    yield opened
    opened.close()


def read(servers: str, topic: str, count: int) -> list[Message]:
    """The first ``count`` messages of a topic, or all there are after ten minutes."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "unused"})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(4)])
    messages: list[Message] = consumer.consume(count, timeout=600)
    consumer.close()
    return messages


def test_events_arrive_in_binary_mode_keyed_by_fingerprint(servers: str, sink: KafkaSink) -> None:
    sent = [event(1), event(1, revision=1), event(2)]
    sink.write(Emission(shard=0, events=tuple(sent[:2])))
    sink.write(Emission(shard=1, events=(sent[2],)))
    sink.flush()
    messages = read(servers, "anomalies.v1", 3)
    found = [parse_anomaly(message.value(), message.headers()) for message in messages]
    assert sorted(found, key=lambda e: (e.event_id, e.revision)) == sent
    assert {message.key() for message in messages} == {e.fingerprint.encode() for e in sent}
    first, second, *_ = (m for m in messages if m.key() == event(1).fingerprint.encode())
    assert first.partition() == second.partition()


def test_dead_letters_carry_their_reason_in_headers(servers: str, sink: KafkaSink) -> None:
    place = ("telemetry.gpu.v1", "telemetry.gpu.v1/0", 12, 8, "ab" * 32)
    kept = DeadLetter("missing_field", "gpu", *place, value=b'{"a": 1}')
    bare = DeadLetter("broken_json", "no closing brace", *place)
    sink.write_dead_letters([kept, bare])
    sink.flush()
    messages = read(servers, "telemetry.gpu.v1.dlq", 2)
    by_reason = {dict(m.headers())["driftline_reason"]: m for m in messages}
    assert by_reason[b"missing_field"].value() == b'{"a": 1}'
    assert by_reason[b"broken_json"].value() == b""
    headers = dict(by_reason[b"broken_json"].headers())
    assert (headers["driftline_offset"], headers["driftline_length"]) == (b"12", b"8")
    assert headers["driftline_sha256"] == b"ab" * 32


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_without_a_broker_each_flush_says_so_and_keeps_all_and_the_end_says_no_more(client: str) -> None:
    # in a process of its own: kafka-python leaves the sockets of refused connections open
    script = f"""
from operators.adapters.kafka import KafkaOptions
from operators.emission import Emission
from operators.sinks import KafkaSink, SinkError
from tests.outputs import event
options = KafkaOptions(servers="127.0.0.1:9", api_version=(2, 3), bootstrap_timeout_s=0.3)
try:
    sink = KafkaSink(options, {client!r}, timeout_s=0.3)
except SinkError as error:
    print(error)
    raise SystemExit
sink.write(Emission(shard=0, events=tuple(map(event, range(100)))))
for _ in range(2):
    try:
        sink.flush()
    except SinkError as error:
        print(type(error).__name__, error)
sink.close()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    if len(said) == 1:
        assert said[0].startswith("kafka://127.0.0.1:9 cannot be reached: ")
    else:
        assert len(said) == 2
        assert all(
            re.match(
                r"SinkAway kafka://127.0.0.1:9(: 100 of 100 records not taken| cannot be reached): ", line
            )
            for line in said
        )


class Picky:
    """A producer that refuses what holds a word, and remembers what it took."""

    def __init__(self, word: bytes) -> None:
        self.word = word
        self.taken: list[OutRecord] = []

    def deliver(self, records: list[OutRecord]) -> dict[int, str]:
        failed = {index: "no" for index, record in enumerate(records) if self.word in record.value}
        self.taken += [record for index, record in enumerate(records) if index not in failed]
        return failed

    def close(self) -> None: ...


def test_what_followed_a_failure_under_its_key_is_sent_again_after_it(sink: KafkaSink) -> None:
    picky = Picky(b"the oldest")
    sink.close()
    sink._producer = picky
    sink.write(Emission(shard=0, events=(event(1, summary="the oldest"), event(5, summary="other"))))
    sink.write(Emission(shard=0, events=(event(1, revision=1, summary="second"),)))
    with pytest.raises(SinkError, match="1 of 3"):
        sink.flush()
    picky.word = b"none"
    sink._producer = picky
    sink.flush()
    assert [json.loads(record.value)["summary"] for record in picky.taken] == [
        "other",
        "second",
        "the oldest",
        "second",
    ]
