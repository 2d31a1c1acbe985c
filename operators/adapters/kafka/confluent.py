"""confluent-kafka (librdkafka) behind the client seam: the fastest, for reading and for sending."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as Handle
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import OffsetSpec as _OffsetSpec  # type: ignore[attr-defined]

from operators.adapters.kafka.client import OutRecord, TopicPartition
from operators.adapters.kafka.held import Held
from operators.adapters.kafka.librdkafka import PASSING, STALE, STARTING, Complaints, settings
from operators.adapters.kafka.options import MAX_RECORD_BYTES, KafkaOptions
from operators.adapters.source import SourceError
from operators.intake import SourceRecord
from operators.store_errors import SinkError

T = TypeVar("T")
_SPEC: Any = _OffsetSpec  # untyped
_AGAIN_S = 0.1
#: The most bytes held of all partitions, each an equal share, before fetching them stops.
_ROOM_BYTES = 64 * 2**20
_ANY = -1  # partition
_NO_BROKER_TIME = confluent_kafka.TIMESTAMP_NOT_AVAILABLE


class Client:
    """One `confluent_kafka.Consumer` with partitions assigned by hand.

    The library drops what it has fetched of a partition that is paused, and fetches it again. So a paused
    partition is fetched on until its share of the room is full, and again once it is empty.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self.begun = False
        self._complaints = Complaints()
        self._held = Held(options.max_poll_records)
        self._fetched: dict[TopicPartition, int] = {}  # offsets behind what is held
        self._full: set[TopicPartition] = set()
        self._names: dict[TopicPartition, str] = {}
        try:
            self._consumer = confluent_kafka.Consumer(
                settings(options)
                | {
                    "group.id": options.group,
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "earliest",
                    "isolation.level": "read_committed",
                    "enable.partition.eof": True,
                    "fetch.queue.backoff.ms": 50,
                    "fetch.wait.max.ms": 100,  # so long a partition that is resumed may wait
                    "queued.max.messages.kbytes": 16_384,
                    # by hand there is no session: so long a commit waits for a broker that is away
                    "session.timeout.ms": max(1, int(options.timeout_s * 1000)),
                    "error_cb": self._complaints,
                }
            )
        except KafkaException as problem:
            raise SourceError(f"kafka://{options.servers}: {self._complaints.with_last(problem)}") from None
        self._admin = AdminClient(settings(options) | {"error_cb": self._complaints})
        try:
            self._reach(options.bootstrap_timeout_s)
        except KafkaException as problem:
            self._consumer.close()
            reason = self._complaints.with_last(problem)
            raise SourceError(f"kafka://{options.servers} cannot be reached: {reason}") from None

    def _reach(self, patience_s: float) -> None:
        """Wait for an answer, longer each time: a wrong password is told only between two questions."""
        end, ask_s = time.monotonic() + patience_s, 1.0
        while True:
            left_s = max(0.0, end - time.monotonic())
            try:
                self._consumer.list_topics(timeout=min(ask_s, left_s))
                return
            except KafkaException:
                self._consumer.poll(0)  # so that it is told why
                if self._complaints.refused or left_s <= ask_s:
                    raise
            ask_s *= 2

    def partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        """The partitions of those topics that exist."""
        known = self._ask("list topics", lambda: self._consumer.list_topics(timeout=self._ask_s))
        return [
            (topic, number)
            for topic in topics
            if topic in known.topics
            for number in sorted(known.topics[topic].partitions)
        ]

    def assign(self, positions: Mapping[TopicPartition, int | None]) -> None:
        """Read these partitions from these offsets."""
        found = {place: offset for place, offset in positions.items() if offset is not None}
        unknown = [Handle(*place) for place in positions if place not in found]
        if unknown:
            committed = self._ask(
                "read offsets", lambda: _each(self._consumer.committed(unknown, timeout=self._ask_s))
            )
            at = {(each.topic, each.partition): each.offset for each in committed}
            found |= {place: offset for place, offset in at.items() if offset >= 0}
            first = self._options.start == "earliest"
            which = _SPEC.earliest() if first else _SPEC.latest()
            found |= self._offsets([place for place in at if place not in found], which)
        if full := [Handle(*place) for place in self._full]:
            self._ask("resume", lambda: self._consumer.resume(full))  # they would stay paused
        handles = [Handle(*place, at) for place, at in found.items()]
        self._ask("assign", lambda: self._consumer.assign(handles))
        self._held.clear()
        self._fetched, self._full = found, set()
        self._names = {place: f"{place[0]}/{place[1]}" for place in found}

    def poll(
        self, paused: Sequence[TopicPartition], timeout_s: float
    ) -> dict[TopicPartition, list[SourceRecord]]:
        """Records of the partitions that are not paused."""
        waiting, end = set(paused), time.monotonic() + timeout_s
        self._take_in(0.0)
        while not (found := self._held.take(waiting)):
            if (left_s := end - time.monotonic()) <= 0:
                break
            self._take_in(left_s)
        return found

    def _take_in(self, timeout_s: float) -> None:
        self._mind_room()
        # the library waits for as many as are asked for: one first, then what else is there
        messages: list[Any] = self._ask("fetch", lambda: self._consumer.consume(1, timeout_s))
        if messages:
            most = self._options.max_poll_records
            messages += self._ask("fetch", lambda: self._consumer.consume(most, 0))
        fetched: dict[TopicPartition, list[SourceRecord]] = {}
        for message in messages:
            place = (message.topic(), message.partition())
            if (error := message.error()) is not None:
                self._told(place, error, message.offset())
                continue
            kind, time_ms = message.timestamp()
            fetched.setdefault(place, []).append(
                SourceRecord(
                    place[0],
                    self._names[place],
                    message.offset(),
                    message.value() or b"",
                    None if kind == _NO_BROKER_TIME else time_ms,
                    _headers(message.headers()),
                )
            )
            self._fetched[place] = message.offset() + 1
        for place, records in fetched.items():
            self._held.put(place, records)

    def _mind_room(self) -> None:
        room = _ROOM_BYTES // max(1, len(self._fetched))
        sizes = {place: self._held.size(place) for place in self._held.places}
        full = {
            place
            for place, (records, size) in sizes.items()
            if place in self._full or records >= self._options.max_poll_records or size >= room
        }
        if fresh := [Handle(*place) for place in full - self._full]:
            self._ask("pause", lambda: self._consumer.pause(fresh))
        if again := [Handle(*place) for place in self._full - full]:
            self._ask("resume", lambda: self._consumer.resume(again))
        self._full = full

    def _told(self, place: TopicPartition, error: KafkaError, offset: int) -> None:
        """A partition's end, behind what no reader is shown; or something wrong."""
        if error.code() == KafkaError._PARTITION_EOF:
            self._fetched[place] = max(self._fetched[place], offset)
        elif error.code() not in PASSING:
            raise self._refused("fetch", error)

    def position(self, partition: TopicPartition) -> int:
        """The next offset that will be read."""
        held = self._held.first(partition)
        return self._fetched[partition] if held is None else held

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the last record of each."""
        return self._offsets(partitions, _SPEC.latest())

    def _offsets(self, places: Sequence[TopicPartition], which: Any) -> dict[TopicPartition, int]:
        # of all at once, and not by the consumer's connection, where each question waits behind a fetch
        if not places:
            return {}
        answers = self._ask(
            "read offsets",
            lambda: {
                place: asked.result()
                for place, asked in self._admin.list_offsets(
                    {Handle(*place): which for place in places},
                    isolation_level=confluent_kafka.IsolationLevel.READ_COMMITTED,
                    request_timeout=self._ask_s,
                ).items()
            },
        )
        return {(place.topic, place.partition): int(answer.offset) for place, answer in answers.items()}

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit these next offsets for the group."""
        offsets = [Handle(*place, offset) for place, offset in positions.items()]
        self._ask("commit", lambda: _each(self._consumer.commit(offsets=offsets, asynchronous=False)))

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    @property
    def _ask_s(self) -> float:
        return self._options.patience_s(begun=self.begun)

    def _ask(self, what: str, question: Callable[[], T]) -> T:
        began = time.monotonic()
        passing = STARTING if self.begun else PASSING
        while True:
            try:
                return question()
            except KafkaException as problem:
                # a broker that has just started says so itself, by a code above 0, and may take as long
                code = problem.args[0].code()
                broker = code > 0 or code in STALE
                patience_s = self._ask_s
                if broker:
                    patience_s = max(patience_s, self._options.bootstrap_timeout_s)
                if code not in passing or time.monotonic() > began + patience_s:
                    raise self._refused(what, problem) from None
                if code in STALE:
                    self._admin.list_topics(timeout=self._options.timeout_s)  # what it knows was read before
                time.sleep(_AGAIN_S)

    def _refused(self, what: str, problem: object) -> SourceError:
        reason = self._complaints.with_last(problem)
        return SourceError(f"kafka://{self._options.servers} refuses to {what}: {reason}")


def _each(answers: list[Handle]) -> list[Handle]:
    for answer in answers:
        if answer.error is not None:
            raise KafkaException(answer.error)
    return answers


def _headers(headers: Sequence[tuple[str, bytes | None]] | None) -> tuple[tuple[str, bytes], ...]:
    return () if headers is None else tuple((name, value or b"") for name, value in headers)


class Producer:
    """One `confluent_kafka.Producer`."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._complaints = Complaints()
        try:
            self._producer = confluent_kafka.Producer(
                settings(options)
                | {
                    "acks": "all",
                    "enable.idempotence": True,
                    "compression.type": "gzip",
                    "linger.ms": 5,
                    "partitioner": "murmur2_random",
                    "message.max.bytes": MAX_RECORD_BYTES,
                    "delivery.timeout.ms": int(options.timeout_s * 1000),
                    "error_cb": self._complaints,
                }
            )
        except KafkaException as problem:
            raise SinkError(f"kafka://{options.servers}: {self._complaints.with_last(problem)}") from None

    def deliver(self, records: Sequence[OutRecord]) -> dict[int, str]:
        """Send and wait."""
        failed = dict.fromkeys(range(len(records)), "no answer in time")

        def settle(index: int, error: KafkaError | None) -> None:
            if error is None:
                del failed[index]
            else:
                failed[index] = self._complaints.with_last(error)

        for index, record in enumerate(records):
            try:
                self._send(record, lambda error, _, index=index: settle(index, error))
            except KafkaException as problem:
                failed[index] = self._complaints.with_last(problem)
        self._producer.flush(self._options.timeout_s + 1)
        if failed:
            self._producer.purge()  # what could not be sent is sent again by whoever asked, not from here
            self._producer.flush(1)
        return dict(failed)

    def _send(self, record: OutRecord, done: Callable[..., None]) -> None:
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    _ANY if record.partition is None else record.partition,
                    headers=list(record.headers),
                    on_delivery=done,
                )
            except BufferError:  # its queue is full
                self._producer.poll(0.1)
            else:
                return

    def close(self) -> None:
        """Leave the broker."""
        self._producer.purge()
        self._producer.flush(5)
