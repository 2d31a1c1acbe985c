"""kafka-python behind the client seam: the default, as it is pure Python, and the slowest."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import kafka
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.structs import OffsetAndMetadata

from operators.adapters.kafka.client import OutRecord, TopicPartition
from operators.adapters.kafka.heard import heard, reason
from operators.adapters.kafka.held import Held
from operators.adapters.kafka.options import MAX_RECORD_BYTES, KafkaOptions
from operators.adapters.kafka.records import source_records
from operators.adapters.source import SourceError
from operators.intake import SourceRecord
from operators.store_errors import SinkError

#: More records than any fetch holds: all that was fetched is taken at once, and handed out from here.
_ALL = 2**31


def settings(options: KafkaOptions) -> dict[str, Any]:
    """How the broker is reached, in the words of kafka-python's consumer, producer and admin client."""
    given = {
        "bootstrap_servers": options.servers.split(","),
        "bootstrap_timeout_ms": int(options.bootstrap_timeout_s * 1000),
        "security_protocol": options.security_protocol,
        "ssl_cafile": options.ssl_ca_file,
        "ssl_certfile": options.ssl_cert_file,
        "ssl_keyfile": options.ssl_key_file,
        "sasl_mechanism": options.sasl_mechanism,
        "sasl_plain_username": options.username,
        "sasl_plain_password": options.password,
        "api_version": options.api_version,
        "reconnect_backoff_max_ms": 2000,
    }
    return {name: value for name, value in given.items() if value is not None}


class Client:
    """One `kafka.KafkaConsumer` with partitions assigned by hand.

    Fetched batches are never left half read in the library, which forgets one whose partition is paused
    then (3.0.12): what a poll may not hand out yet waits in ``_held``.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self.begun = False
        self._held = Held(options.max_poll_records)
        try:
            with heard("kafka") as said:
                self._consumer = kafka.KafkaConsumer(
                    group_id=options.group,
                    enable_auto_commit=False,
                    auto_offset_reset="earliest",
                    isolation_level="read_committed",
                    max_poll_records=_ALL,
                    **settings(options),
                )
        except (KafkaError, OSError) as problem:
            raise SourceError(
                f"kafka://{options.servers} cannot be reached: {reason(problem)}{said.why}"
            ) from None

    def partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        """The partitions of those topics that exist."""
        try:
            there = self._consumer.topics()
            return [
                (topic, number)
                for topic in topics
                if topic in there
                for number in sorted(self._consumer.partitions_for_topic(topic) or ())
            ]
        except KafkaError as problem:
            raise self._refused("list topics", problem) from None

    def assign(self, positions: Mapping[TopicPartition, int | None]) -> None:
        """Read these partitions from these offsets."""
        consumer, ask_ms = self._consumer, self._ask_ms
        begin = consumer.beginning_offsets if self._options.start == "earliest" else consumer.end_offsets
        found = {kafka.TopicPartition(*place): offset for place, offset in positions.items()}
        try:
            for handle in [handle for handle, offset in found.items() if offset is None]:
                found[handle] = consumer.committed(handle, timeout_ms=ask_ms)
            if rest := [handle for handle, offset in found.items() if offset is None]:
                found |= begin(rest, timeout_ms=ask_ms)
            consumer.assign(list(found))
            for handle, offset in found.items():
                consumer.seek(handle, offset)
        except KafkaError as problem:
            raise self._refused("read offsets", problem) from None
        self._held.clear()

    def poll(
        self, paused: Sequence[TopicPartition], timeout_s: float
    ) -> dict[TopicPartition, list[SourceRecord]]:
        """Records of the partitions that are not paused."""
        waiting = {kafka.TopicPartition(*partition) for partition in {*paused, *self._held.places}}
        now = self._consumer.paused()
        try:
            self._consumer.pause(*(waiting - now))
            self._consumer.resume(*(now - waiting))
            ready = set(self._held.places) - set(paused)
            found = self._consumer.poll(timeout_ms=0 if ready else int(timeout_s * 1000))
        except KafkaError as problem:
            raise self._refused("fetch", problem) from None
        for handle, records in found.items():
            place = (handle.topic, handle.partition)
            self._held.put(place, source_records(*place, records))
        return self._held.take(set(paused))

    def position(self, partition: TopicPartition) -> int:
        """The next offset that will be read."""
        if (held := self._held.first(partition)) is not None:
            return held
        try:
            return int(
                self._consumer.position(kafka.TopicPartition(*partition), timeout_ms=self._ask_ms) or 0
            )
        except KafkaError as problem:
            raise self._refused("read a position", problem) from None

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the last record of each."""
        handles = {kafka.TopicPartition(*partition): partition for partition in partitions}
        try:
            found = self._consumer.end_offsets(list(handles), timeout_ms=self._ask_ms)
        except KafkaError as problem:
            raise self._refused("read end offsets", problem) from None
        return {handles[handle]: offset for handle, offset in found.items()}

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit these next offsets for the group."""
        offsets = {
            kafka.TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in positions.items()
        }
        try:
            self._consumer.commit(offsets, timeout_ms=self._ask_ms)
        except KafkaError as problem:
            raise self._refused("commit", problem) from None

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close(autocommit=False)

    @property
    def _ask_ms(self) -> int:
        return int(self._options.patience_s(begun=self.begun) * 1000)

    def _refused(self, what: str, problem: KafkaError) -> SourceError:
        return SourceError(f"kafka://{self._options.servers} refuses to {what}: {reason(problem)}")


class Producer:
    """One `kafka.KafkaProducer`."""

    def __init__(self, options: KafkaOptions) -> None:
        self._timeout_s = options.timeout_s
        wait_ms = int(options.timeout_s * 1000)
        try:
            with heard("kafka") as said:
                self._producer = kafka.KafkaProducer(
                    acks="all",
                    compression_type="gzip",
                    linger_ms=5,
                    max_block_ms=wait_ms,
                    delivery_timeout_ms=wait_ms,
                    request_timeout_ms=min(30_000, max(1, wait_ms - 10)),
                    max_request_size=MAX_RECORD_BYTES,
                    **settings(options),
                )
        except (KafkaError, OSError) as problem:
            raise SinkError(
                f"kafka://{options.servers} cannot be reached: {reason(problem)}{said.why}"
            ) from None

    def deliver(self, records: Sequence[OutRecord]) -> dict[int, str]:
        """Send and wait."""
        failed: dict[int, str] = {}
        futures = {}
        for index, record in enumerate(records):
            try:
                futures[index] = self._producer.send(
                    record.topic,
                    record.value,
                    key=record.key,
                    headers=record.headers,
                    partition=record.partition,
                )
            except KafkaTimeoutError as problem:
                # nobody answers: each of the others would wait as long
                failed |= dict.fromkeys(range(index, len(records)), reason(problem))
                break
            except KafkaError as problem:
                failed[index] = reason(problem)
        with suppress(KafkaError):  # the futures tell which, and why
            self._producer.flush(timeout=self._timeout_s)
        for index, future in futures.items():
            if not future.succeeded():
                failed[index] = reason(future.exception) if future.failed() else "no answer in time"
        return failed

    def close(self) -> None:
        """Leave the broker."""
        self._producer.close(timeout=5)
