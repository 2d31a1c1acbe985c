"""The Kafka source against librdkafka's in-process broker."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from msgspec import structs

from operators.adapters.kafka import CLIENTS, KafkaOptions, KafkaSource, connect
from operators.adapters.source import SourceError
from tests.engines.broker import until

TOPIC = "telemetry.requests.v1"


class Broker:
    """librdkafka's mock: topics come with four partitions at first use."""

    def __init__(self) -> None:
        self._producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
        brokers = self._producer.list_topics(timeout=60).brokers
        self.servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())

    def send(self, values: list[bytes], partition: int = 0, topic: str = TOPIC) -> None:
        for value in values:
            self._producer.produce(topic, value, partition=partition, headers=[("k", b"v")], timestamp=1_000)
        assert self._producer.flush(120) == 0


@pytest.fixture(scope="module")
def broker() -> Broker:
    return Broker()


@pytest.fixture(params=sorted(CLIENTS))
def options(broker: Broker, request: pytest.FixtureRequest) -> tuple[str, KafkaOptions]:
    group = f"{request.node.name}"
    patience = {"bootstrap_timeout_s": 60.0, "timeout_s": 60.0}
    return request.param, KafkaOptions(servers=broker.servers, group=group, api_version=(2, 3), **patience)


def read(source: KafkaSource, count: int) -> dict[str, list[bytes]]:
    names = [partition.name for partition in source.partitions()]
    found: dict[str, list[bytes]] = {}
    deadline = time.monotonic() + 120
    while sum(map(len, found.values())) < count and time.monotonic() < deadline:
        for batch in source.poll(names, 0.2):
            found.setdefault(batch.partition, []).extend(record.value for record in batch.records)
            assert batch.next_offset == batch.records[-1].offset + 1
    return found


def test_reads_every_partition_in_offset_order_to_the_end(
    broker: Broker, options: tuple[str, KafkaOptions]
) -> None:
    client, how = options
    topic = f"{TOPIC}.{client}.order"
    broker.send([b"a", b"b"], 0, topic)
    broker.send([b"c"], 2, topic)
    source = KafkaSource(how, [topic, "not.there"], client=client)
    try:
        assert {partition.topic for partition in source.partitions()} == {topic}
        found = read(source, 3)
        assert found == {f"{topic}/0": [b"a", b"b"], f"{topic}/2": [b"c"]}
        assert all(source.ended(partition.name) for partition in source.partitions())
        assert all(source.at_end(partition.name) for partition in source.partitions())
    finally:
        source.close()


def test_a_partition_that_waited_half_read_goes_on(broker: Broker, options: tuple[str, KafkaOptions]) -> None:
    client, how = options
    topic = f"{TOPIC}.{client}.parked"
    broker.send([b"a"] * 5, 0, topic)
    broker.send([b"b"] * 25, 1, topic)
    source = KafkaSource(structs.replace(how, max_poll_records=10), [topic], client=client)
    try:
        source.partitions()
        read = {0: 0, 1: 0}
        for number, goal in ((1, 10), (0, 5), (1, 25)):
            deadline = time.monotonic() + 120
            while read[number] < goal and time.monotonic() < deadline:
                for batch in source.poll([f"{topic}/{number}"], 0.2):
                    read[number] += len(batch.records)
        assert read == {0: 5, 1: 25}
    finally:
        source.close()


def test_headers_and_broker_time_come_along(broker: Broker, options: tuple[str, KafkaOptions]) -> None:
    client, how = options
    topic = f"{TOPIC}.{client}.headers"
    broker.send([b"a"], 0, topic)
    source = KafkaSource(how, [topic], client=client)
    try:
        names = [partition.name for partition in source.partitions()]
        batches = []
        while not batches:
            batches = list(source.poll(names, 0.2))
        record = batches[0].records[0]
        assert (record.broker_time_ms, record.headers) == (1_000, (("k", b"v"),))
        assert (record.topic, record.partition, record.offset) == (topic, f"{topic}/0", 0)
    finally:
        source.close()


def test_a_later_start_goes_on_where_offsets_were_committed(
    broker: Broker, options: tuple[str, KafkaOptions]
) -> None:
    client, how = options
    topic = f"{TOPIC}.{client}.commit"
    broker.send([b"a", b"b", b"c"], 1, topic)
    first = KafkaSource(how, [topic], client=client)
    try:
        assert read(first, 3) == {f"{topic}/1": [b"a", b"b", b"c"]}
        first.commit({f"{topic}/1": 2})
    finally:
        first.close()
    second = KafkaSource(how, [topic], client=client)
    try:
        assert read(second, 1) == {f"{topic}/1": [b"c"]}
    finally:
        second.close()


def test_seek_wins_over_the_committed_offset(broker: Broker, options: tuple[str, KafkaOptions]) -> None:
    client, how = options
    topic = f"{TOPIC}.{client}.seek"
    broker.send([b"a", b"b", b"c"], 0, topic)
    source = KafkaSource(how, [topic], client=client)
    try:
        source.partitions()
        source.commit({f"{topic}/0": 3})
        source.seek({f"{topic}/0": 1})
        assert read(source, 2) == {f"{topic}/0": [b"b", b"c"]}
    finally:
        source.close()


def test_what_is_not_ready_waits(broker: Broker, options: tuple[str, KafkaOptions]) -> None:
    client, how = options
    topic = f"{TOPIC}.{client}.pause"
    broker.send([b"a"], 0, topic)
    broker.send([b"b"], 1, topic)
    source = KafkaSource(how, [topic], client=client)
    try:
        source.partitions()
        found: list[str] = []

        def polled() -> list[str]:
            found.extend(batch.partition for batch in source.poll([f"{topic}/1"], 0.2))
            return found

        until(polled, "the one that is ready")
        for _ in range(5):
            polled()
        assert found == [f"{topic}/1"]
        assert not source.ended(f"{topic}/0")
    finally:
        source.close()


def test_readers_share_the_partitions(broker: Broker, options: tuple[str, KafkaOptions]) -> None:
    client, how = options
    topic = f"{TOPIC}.{client}.share"
    broker.send([b"a"], 0, topic)
    everything = [f"{topic}/{number}" for number in range(4)]
    names: list[str] = []
    for index in range(2):
        source = KafkaSource(how, [topic], client=client, part=(index, 2))
        found = source.partitions()
        assert sorted(partition.name for partition in found) == everything  # shards wait for all of them
        names += [partition.name for partition in found if partition.here]
        source.close()
    assert sorted(names) == everything


def test_a_broker_that_goes_away_ends_nothing_and_is_told_of_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = Broker()
    away.send([b"a"])
    now = [0.0]
    how = KafkaOptions(servers=away.servers, bootstrap_timeout_s=60.0, timeout_s=3.0)
    source = KafkaSource(how, [TOPIC], client="confluent-kafka", clock=lambda: now[0])
    try:
        known = source.partitions()
        assert read(source, 1) == {f"{TOPIC}/0": [b"a"]}
        assert source.connected
        del away
        now[0] = 60.0
        assert source.partitions() == known
        for later in (60.0, 62.0, 92.0):
            now[0] = later
            assert not source.connected
            source.commit({f"{TOPIC}/0": 1})
    finally:
        source.close()
    ours = KafkaSource.__module__
    first, second = (record.message for record in caplog.records if record.name == ours)
    assert "refuses to list topics" in first
    assert "refuses to" in second


class Left:
    """A client whose broker goes away for good once it has answered a question."""

    def __init__(self, client: Any, question: str, leave: Callable[[], None]) -> None:
        self.__dict__.update(client=client, question=question, leave=leave)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name) if name != self.question else self._last

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.client, name, value)

    def _last(self, *arguments: Any) -> Any:
        answer = getattr(self.client, self.question)(*arguments)
        self.leave()
        return answer


@pytest.mark.parametrize("client", sorted(CLIENTS))
@pytest.mark.parametrize("question", ["partitions", "ends"])
def test_a_broker_lost_while_a_new_topic_is_taken_in_ends_nothing(client: str, question: str) -> None:
    brokers, now = [Broker()], [0.0]
    known, fresh = f"{TOPIC}.known", f"{TOPIC}.fresh"
    brokers[0].send([b"a", b"b", b"c"], 0, known)
    how = KafkaOptions(
        servers=brokers[0].servers,
        api_version=(2, 3),
        max_poll_records=1,
        bootstrap_timeout_s=60.0,
        timeout_s=60.0,
    )
    source = KafkaSource(how, [known, fresh], client=client, clock=lambda: now[0])
    try:
        before = source.partitions()
        assert read(source, 1) == {f"{known}/0": [b"a"]}
        brokers[0].send([b"d"], 0, fresh)

        def leave() -> None:
            reached._options = structs.replace(how, timeout_s=0.5)
            brokers.clear()

        reached: Any = source._client
        source._client = Left(reached, question, leave)
        now[0] = 31.0
        assert source.partitions() == before
        assert not brokers
        assert source.position(f"{known}/0") == 1
    finally:
        source.close()


class Late:
    """A consumer whose broker is slow to open what holds the group's offsets."""

    def __init__(self, consumer: Any, times: int) -> None:
        self._consumer, self.left = consumer, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def committed(self, *places: Any, **how: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return self._consumer.committed(*places, **how)


def test_that_no_topic_is_there_is_said(
    options: tuple[str, KafkaOptions], caplog: pytest.LogCaptureFixture
) -> None:
    client, how = options
    source = KafkaSource(how, ["not.there", "nor.this"], client=client)
    try:
        with caplog.at_level("WARNING", "operators.adapters.kafka.source"):
            assert source.partitions() == []
        (said,) = (each.message for each in caplog.records if each.name == "operators.adapters.kafka.source")
        assert "not.there, nor.this" in said
    finally:
        source.close()


def test_a_broker_that_opens_its_groups_late_is_waited_for_until_reading_has_begun(broker: Broker) -> None:
    topic = f"{TOPIC}.late"
    broker.send([b"a"], 0, topic)
    client = connect("confluent-kafka", KafkaOptions(servers=broker.servers, group="late", timeout_s=0.1))
    late = client._consumer = Late(client._consumer, 5)  # type: ignore[attr-defined]
    try:
        client.assign({(topic, 0): None})
        assert client.position((topic, 0)) == 0
        until(lambda: client.poll((), 0.2), "the record")
        client.begun = True
        late.left = 1
        with pytest.raises(SourceError, match="refuses to read offsets"):
            client.assign({(topic, 0): None})
    finally:
        client.close()


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_a_broker_that_is_not_there_is_said_so(client: str) -> None:
    # in a process of its own: kafka-python leaves the sockets of a failed start open
    code = (
        "from operators.adapters.kafka import KafkaOptions, connect\n"
        "from operators.adapters.source import SourceError\n"
        f"try: connect({client!r}, KafkaOptions(servers='127.0.0.1:1', bootstrap_timeout_s=0.5))\n"
        "except SourceError as problem: print(problem)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "127.0.0.1:1 cannot be reached" in answer.stdout


def test_options_never_show_their_secrets() -> None:
    assert "hunter2" not in repr(KafkaOptions(servers="a:1", username="me", password="hunter2"))
