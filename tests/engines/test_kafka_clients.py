"""One contract, three client libraries, a real broker."""

import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from msgspec import structs

from benchmarks.reliability.topics import PATIENCE_S
from operators.adapters.kafka import (
    CLIENTS,
    KafkaClient,
    KafkaOptions,
    KafkaProducer,
    KafkaSource,
    OutRecord,
    connect,
    connect_producer,
    held,
)
from operators.adapters.source import SourceError
from operators.intake import SourceRecord
from operators.store_errors import SinkError
from pipelines.stack import Stack
from tests.engines.broker import make_topic, send, transaction, until, with_admin

Open = Callable[..., KafkaClient]
MIB = 2**20
PATIENT = {"bootstrap_timeout_s": 180.0, "timeout_s": 180.0}
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "1",
    "min.cleanable.dirty.ratio": "0.0",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "1",
}


@pytest.fixture(scope="module")
def servers(stack: Stack) -> str:
    stack.up("kafka")
    return stack.kafka


@pytest.fixture(params=sorted(CLIENTS))
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def options(servers: str, library: str) -> KafkaOptions:
    return KafkaOptions(servers=servers, group=f"{library}-{time.time_ns()}", **PATIENT)


@pytest.fixture
def client(library: str, options: KafkaOptions) -> Iterator[KafkaClient]:
    opened = connect(library, options)
    yield opened
    opened.close()


def read(client: KafkaClient, count: int, paused: tuple[tuple[str, int], ...] = ()) -> list[SourceRecord]:
    """So many records."""
    found: list[SourceRecord] = []

    def enough() -> bool:
        for records in client.poll(paused, 0.2).values():
            found.extend(records)
        return len(found) >= count

    until(enough, f"{count} records")
    return found


def to_end(client: KafkaClient, place: tuple[str, int]) -> list[bytes]:
    """All that is left of a partition, once the client's position says that it is behind it."""
    found: list[bytes] = []

    def behind() -> bool:
        for records in client.poll((), 0.2).values():
            found.extend(record.value for record in records)
        return client.position(place) >= client.ends([place])[place]

    until(behind, f"the end of {place}")
    return found


def test_records_come_as_they_were_sent(servers: str, client: KafkaClient) -> None:
    topic = make_topic(servers, partitions=3)
    send(servers, topic, [b"a", b"b"], 0, headers=[("k", b"v"), ("k", b"w")], time_ms=1_234_567)
    send(servers, topic, [b"c", b""], 2)
    places = client.partitions([topic, "not-there"])
    assert places == [(topic, 0), (topic, 1), (topic, 2)]
    client.assign(dict.fromkeys(places))
    found = read(client, 4)
    assert sorted((r.partition, r.offset, r.value) for r in found) == [
        (f"{topic}/0", 0, b"a"),
        (f"{topic}/0", 1, b"b"),
        (f"{topic}/2", 0, b"c"),
        (f"{topic}/2", 1, b""),
    ]
    first = next(record for record in found if record.value == b"a")
    assert (first.broker_time_ms, first.headers) == (1_234_567, (("k", b"v"), ("k", b"w")))
    assert client.ends(places) == {(topic, 0): 2, (topic, 1): 0, (topic, 2): 2}
    assert {place: client.position(place) for place in places} == client.ends(places)


def test_where_reading_starts(servers: str, library: str, options: KafkaOptions) -> None:
    topic = make_topic(servers)
    place = (topic, 0)
    send(servers, topic, [b"a", b"b", b"c"])
    latest = connect(library, structs.replace(options, start="latest"))
    latest.assign({place: None})
    assert latest.position(place) == 3
    send(servers, topic, [b"d"])
    assert [record.value for record in read(latest, 1)] == [b"d"]
    latest.commit({place: 2})
    latest.close()
    group = with_admin(servers, lambda admin: admin.list_group_offsets(options.group))
    assert [each.offset for each in group[options.group].values()] == [2]
    for start in ("earliest", "latest"):
        later = connect(library, structs.replace(options, start=start))
        later.assign({place: None})
        assert [record.value for record in read(later, 2)] == [b"c", b"d"]
        later.assign({place: 1})
        assert [record.value for record in read(later, 3)] == [b"b", b"c", b"d"]
        later.close()


def test_a_paused_partition_waits_and_is_forgotten_by_nobody(
    servers: str, library: str, options: KafkaOptions
) -> None:
    topic = make_topic(servers, partitions=2)
    send(servers, topic, [b"a"] * 5, 0)
    send(servers, topic, [b"b"] * 95, 1)
    client = connect(library, structs.replace(options, max_poll_records=10))
    places = client.partitions([topic])
    client.assign(dict.fromkeys(places))
    seen = dict.fromkeys(places, 0)
    for number, goal in ((1, 10), (0, 5), (1, 40), (0, 5), (1, 95)):
        paused = (places[1 - number],)

        def reached(paused: tuple[tuple[str, int], ...] = paused, goal: int = goal) -> bool:
            for place, records in client.poll(paused, 0.1).items():
                assert place not in paused
                assert len(records) <= 10
                assert records[0].offset == seen[place]
                seen[place] += len(records)
                assert client.position(place) == seen[place]
            ready = next(place for place in places if place not in paused)
            return seen[ready] >= goal

        until(reached, f"partition {number} to {goal}")
    assert seen == client.ends(places)
    client.close()


def test_pausing_at_random_loses_repeats_and_swaps_nothing(
    servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All clients at once, as each waits for what it has to fetch again."""
    most, room = 20, 50_000
    monkeypatch.setattr(held, "POLL_BYTES", room)
    sizes = random.Random(11)
    topic = make_topic(servers, partitions=4)
    values = [
        [b"%d" % number for number in range(400)],
        [b"%d" % number + b"." * sizes.randrange(10_000) for number in range(100)],
        [b"%d" % number + b"." * 60_000 for number in range(8)],
        [],
    ]
    for number, sent in enumerate(values):
        send(servers, topic, sent, number)

    def pauses(library: str) -> None:
        rng = random.Random(12)
        client = connect(library, KafkaOptions(servers=servers, max_poll_records=most, **PATIENT))
        places = client.partitions([topic])
        client.assign(dict.fromkeys(places, 0))
        seen: dict[tuple[str, int], list[bytes]] = {place: [] for place in places}
        polls = 0

        def goes_on() -> bool:
            nonlocal polls
            polls += 1
            # as a reader does it: others are ahead each time
            paused = rng.sample(places, rng.choice((0, 1, 1, 2, 3)))
            found = client.poll(paused, 0.02)
            assert found.keys().isdisjoint(paused)
            size = sum(len(record.value) for records in found.values() for record in records)
            assert size <= room or sum(map(len, found.values())) == 1
            for place, records in found.items():
                assert len(records) <= most
                first = len(seen[place])
                assert [record.offset for record in records] == list(range(first, first + len(records)))
                seen[place] += [record.value for record in records]
            assert {place: client.position(place) for place in places} == {
                place: len(found) for place, found in seen.items()
            }
            if polls in (5, 9, 20, 40):  # what is fetched already is of no use then
                back = {place: rng.randrange(len(found) + 1) for place, found in seen.items()}
                client.assign(back)
                for place, offset in back.items():
                    del seen[place][offset:]
            return [len(found) for found in seen.values()] == [len(sent) for sent in values]

        until(goes_on, f"all of it by {library}")
        assert list(seen.values()) == values
        client.close()

    with ThreadPoolExecutor() as pool:
        list(pool.map(pauses, CLIENTS))


def test_what_no_reader_is_shown_is_passed_over(servers: str, client: KafkaClient) -> None:
    topic = make_topic(servers)
    for values, commit in (([b"a", b"b"], True), ([b"x", b"y"], False)):
        with transaction(servers, topic, values, commit=commit):
            pass
    client.assign({(topic, 0): None})
    assert to_end(client, (topic, 0)) == [b"a", b"b"]
    assert client.position((topic, 0)) == 6
    send(servers, topic, [b"c"])
    assert [(record.offset, record.value) for record in read(client, 1)] == [(6, b"c")]


def test_a_transaction_that_is_open_is_waited_for(servers: str, client: KafkaClient) -> None:
    topic = make_topic(servers)
    send(servers, topic, [b"a"])
    client.assign({(topic, 0): None})
    with transaction(servers, topic, [b"b", b"c"], commit=True):
        assert to_end(client, (topic, 0)) == [b"a"]
        assert client.position((topic, 0)) == 1
    assert [record.value for record in read(client, 2)] == [b"b", b"c"]


def test_a_log_cut_off_at_its_start_goes_on_with_what_is_left(servers: str, client: KafkaClient) -> None:
    import kafka

    topic = make_topic(servers)
    send(servers, topic, [b"a", b"b", b"c", b"d"])
    with_admin(servers, lambda admin: admin.delete_records({kafka.TopicPartition(topic, 0): 3}))
    client.assign({(topic, 0): 1})
    assert to_end(client, (topic, 0)) == [b"d"]


def test_gaps_that_compaction_left_are_passed_over(servers: str) -> None:
    """All clients at once, as the broker takes its time to compact."""
    soon = ConfigEntry("log.cleaner.backoff.ms", "100", incremental_operation=AlterConfigOpType.SET)
    broker = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=[soon])
    admin = AdminClient({"bootstrap.servers": servers})
    admin.incremental_alter_configs([broker])[broker].result(PATIENCE_S)
    options = KafkaOptions(servers=servers, **PATIENT)
    topic = make_topic(servers, config=COMPACTED)
    place = (topic, 0)
    # a segment ends where a record is older than the last by more than segment.ms, and the last is left alone
    for number, key in enumerate((b"a", b"b", b"a", b"c", b"b", b"c", b"end")):
        send(servers, topic, [b"%d" % number], key=key, time_ms=time.time_ns() // 1_000_000 + 1000 * number)
    left = {2: b"2", 4: b"4", 5: b"5", 6: b"6"}
    clients = {library: connect(library, options) for library in CLIENTS}
    try:

        def compacted() -> bool:
            client = connect("confluent-kafka", options)
            try:
                client.assign({place: 0})
                return len(to_end(client, place)) == len(left)
            finally:
                client.close()

        until(compacted, "compaction")
        for client in clients.values():
            client.assign({place: 0})
            assert to_end(client, place) == list(left.values())
            client.assign({place: 3})
            assert [record.offset for record in read(client, 3)] == [4, 5, 6]
            assert client.position(place) == 7
    finally:
        for client in clients.values():
            client.close()


def test_records_of_the_largest_size_fit(servers: str, library: str, options: KafkaOptions) -> None:
    topic = make_topic(servers, config={"max.message.bytes": str(17 * MIB)})
    large = random.Random(1).randbytes(16 * MIB)
    producer = connect_producer(library, options)
    assert producer.deliver([OutRecord(topic, None, [], value) for value in (large, b"small")]) == {}
    producer.close()
    client = connect(library, options)
    client.assign({(topic, 0): None})
    assert [record.value == large for record in read(client, 2)] == [True, False]
    client.close()


def test_new_partitions_and_topics_are_found(servers: str, library: str, options: KafkaOptions) -> None:
    now = [0.0]
    topic, later = make_topic(servers), f"later-{time.time_ns()}"
    source = KafkaSource(options, [topic, later], client=library, clock=lambda: now[0])
    assert [partition.name for partition in source.partitions()] == [f"{topic}/0"]
    send(servers, topic, [b"a"])
    found: list[bytes] = []

    def poll() -> bool:
        now[0] += 31
        names = [partition.name for partition in source.partitions()]
        for batch in source.poll(names, 0.2):
            found.extend(record.value for record in batch.records)
        return len(found) >= wanted

    wanted = 1
    until(poll, "the first record")
    assert source.ended(f"{topic}/0") is True
    with_admin(servers, lambda admin: admin.create_partitions({topic: 2}))
    make_topic(servers, later)
    send(servers, topic, [b"b"], 1)
    send(servers, later, [b"c"])
    wanted = 3
    until(poll, "what came to new partitions")
    assert sorted(found) == [b"a", b"b", b"c"]
    until(lambda: poll() and source.at_end(f"{later}/0"), "the end")
    source.close()


def test_a_key_goes_where_every_client_sends_it(servers: str) -> None:
    topic = make_topic(servers, partitions=7)
    keys = [f"key-{number}".encode() for number in range(50)]
    for library in CLIENTS:
        producer = connect_producer(library, KafkaOptions(servers=servers, **PATIENT))
        sent = [OutRecord(topic, key, [("from", library.encode())], b"") for key in keys]
        assert producer.deliver(sent) == {}
        producer.close()
    client = connect("kafka-python", KafkaOptions(servers=servers, **PATIENT))
    client.assign(dict.fromkeys(client.partitions([topic])))
    found = read(client, 3 * len(keys))
    client.close()
    counts = Counter(record.partition for record in found)
    assert len(found) == 3 * len(keys)
    assert all(count % 3 == 0 for count in counts.values())
    assert len(counts) == 7


def test_a_record_that_is_refused_is_named(servers: str, library: str, options: KafkaOptions) -> None:
    topic = make_topic(servers, config={"max.message.bytes": "2000"})
    large = random.Random(1).randbytes(5000)
    producer = connect_producer(library, options)
    assert producer.deliver([OutRecord(topic, None, [], b"a")]) == {}
    failed = producer.deliver([OutRecord(topic, None, [], large)])
    producer.close()
    assert list(failed) == [0]
    assert "large" in failed[0].lower()


def test_a_broker_that_goes_away_and_comes_back(servers: str, stack: Stack) -> None:
    """All clients at once, as a broker's restart takes seconds; nothing is lost."""
    topic = make_topic(servers)
    place = (topic, 0)
    send(servers, topic, [b"before"])
    patient = KafkaOptions(servers=servers, bootstrap_timeout_s=180.0, timeout_s=PATIENCE_S)
    impatient = structs.replace(patient, timeout_s=1.0)
    clients = {library: connect(library, structs.replace(impatient, group=library)) for library in CLIENTS}
    producers = {library: connect_producer(library, patient) for library in CLIENTS}
    hasty = {
        library: until(lambda library=library: _opened(library, impatient), f"{library} to connect")
        for library in CLIENTS
    }
    try:
        for library, client in clients.items():
            until(lambda client=client: _assigns(client, place), f"{library} to assign")
            assert [record.value for record in read(client, 1)] == [b"before"]
            client.begun = True
        for producer in (*producers.values(), *hasty.values()):
            until(lambda one=producer: not one.deliver([OutRecord(topic, b"k", [], b"first")]), "the first")
        stack.kill("kafka")
        results: dict[str, dict[int, str]] = {}
        waiting = [
            threading.Thread(
                target=lambda library=library: results.update(
                    {library: producers[library].deliver([OutRecord(topic, b"k", [], library.encode())])}
                )
            )
            for library in CLIENTS
        ]
        for thread in waiting:
            thread.start()

        def refuses(library: str) -> None:
            failed = hasty[library].deliver([OutRecord(topic, b"k", [], b"hasty")])
            assert list(failed) == [0], library
            assert failed[0]
            client = clients[library]
            client.poll((), 0.1)
            client.poll((), 0.1)
            for question in (lambda: client.ends([place]), lambda: client.commit({place: 1})):
                with pytest.raises(SourceError, match="refuses to"):
                    question()

        with ThreadPoolExecutor() as pool:
            list(pool.map(refuses, CLIENTS))
        stack.start("kafka")
        for thread in waiting:
            thread.join(PATIENCE_S)
        assert results == {library: {} for library in CLIENTS}
        for library, client in clients.items():
            found: set[bytes] = set()

            def all_there(client: KafkaClient = client, found: set[bytes] = found) -> bool:
                for records in client.poll((), 0.2).values():
                    found.update(record.value for record in records)
                return found >= {name.encode() for name in CLIENTS}

            until(all_there, f"what {library} reads of a broker that came back")
            until(lambda client=client: _commits(client, place), f"{library} to commit again")
    finally:
        for each in (*clients.values(), *producers.values(), *hasty.values()):
            each.close()
        gc.collect()


def _opened(library: str, options: KafkaOptions) -> KafkaProducer | None:
    try:
        return connect_producer(library, options)
    except SinkError:  # not within its second
        return None


def _assigns(client: KafkaClient, place: tuple[str, int]) -> bool:
    try:
        client.assign({place: None})
    except SourceError:  # not within its second
        return False
    return True


def _commits(client: KafkaClient, place: tuple[str, int]) -> bool:
    try:
        client.commit({place: 1})
        return client.ends([place])[place] > 1
    except SourceError:
        return False
