"""kafka-python behind the client seam: the default, pure Python, and the slowest (about 70,000 records/s)."""

from collections.abc import Mapping, Sequence
from typing import Any

import kafka
from kafka.errors import KafkaError

from operators.adapters.kafka.client import KafkaOptions, TopicPartition
from operators.adapters.source import SourceError
from operators.intake import SourceRecord

#: How long a question to the broker (offsets, commits) may take.
_ASK_MS = 10_000


class KafkaPythonClient:
    """One `kafka.KafkaConsumer` with partitions assigned by hand."""

    def __init__(self, options: KafkaOptions) -> None:
        self._servers = options.servers
        self._start = options.start
        settings: dict[str, Any] = {
            "bootstrap_servers": options.servers.split(","),
            "group_id": options.group,
            "enable_auto_commit": False,
            "auto_offset_reset": options.start,
            "isolation_level": "read_committed",
            "bootstrap_timeout_ms": int(options.bootstrap_timeout_s * 1000),
            "max_poll_records": options.max_poll_records,
            "security_protocol": options.security_protocol,
            "ssl_cafile": options.ssl_ca_file,
            "ssl_certfile": options.ssl_cert_file,
            "ssl_keyfile": options.ssl_key_file,
            "sasl_mechanism": options.sasl_mechanism,
            "sasl_plain_username": options.username,
            "sasl_plain_password": options.password,
        }
        if options.api_version:
            settings["api_version"] = options.api_version
        try:
            self._consumer = kafka.KafkaConsumer(**settings)
        except KafkaError as problem:
            raise SourceError(f"kafka {options.servers} cannot be reached: {problem}") from None

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
        handles = {partition: kafka.TopicPartition(*partition) for partition in positions}
        try:
            self._consumer.assign(list(handles.values()))
            for partition, offset in positions.items():
                if offset is None:
                    offset = self._consumer.committed(handles[partition], timeout_ms=_ASK_MS)
                if offset is not None:
                    self._consumer.seek(handles[partition], offset)
                elif self._start == "earliest":
                    self._consumer.seek_to_beginning(handles[partition])
                else:
                    self._consumer.seek_to_end(handles[partition])
        except KafkaError as problem:
            raise self._refused("read offsets", problem) from None

    def poll(
        self, paused: Sequence[TopicPartition], timeout_s: float
    ) -> dict[TopicPartition, list[SourceRecord]]:
        """Records of the partitions that are not paused."""
        wanted = {kafka.TopicPartition(*partition) for partition in paused}
        now = self._consumer.paused()
        try:
            self._consumer.pause(*(wanted - now))
            self._consumer.resume(*(now - wanted))
            self._free_slot()
            found = self._consumer.poll(timeout_ms=int(timeout_s * 1000))
        except KafkaError as problem:
            raise self._refused("fetch", problem) from None
        return {
            (handle.topic, handle.partition): [
                SourceRecord(
                    topic=record.topic,
                    partition=f"{record.topic}/{record.partition}",
                    offset=record.offset,
                    value=record.value or b"",
                    broker_time_ms=record.timestamp if record.timestamp and record.timestamp >= 0 else None,
                    headers=tuple(record.headers or ()),
                )
                for record in records
            ]
            for handle, records in found.items()
        }

    def _free_slot(self) -> None:
        # kafka-python 3.0.12 puts a partition that was paused half read back in line only when its slot is
        # None, and leaves an emptied batch in it: the partition would never be read again
        fetcher = self._consumer._fetcher
        if not fetcher._next_partition_records:
            fetcher._next_partition_records = None

    def position(self, partition: TopicPartition) -> int:
        """The next offset that will be read."""
        try:
            return int(self._consumer.position(kafka.TopicPartition(*partition), timeout_ms=_ASK_MS) or 0)
        except KafkaError as problem:
            raise self._refused("read a position", problem) from None

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the last record of each."""
        handles = {kafka.TopicPartition(*partition): partition for partition in partitions}
        try:
            found = self._consumer.end_offsets(list(handles), timeout_ms=_ASK_MS)
        except KafkaError as problem:
            raise self._refused("read end offsets", problem) from None
        return {handles[handle]: offset for handle, offset in found.items()}

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit these next offsets for the group."""
        offsets = {
            kafka.TopicPartition(*partition): kafka.structs.OffsetAndMetadata(offset, "", -1)
            for partition, offset in positions.items()
        }
        try:
            self._consumer.commit(offsets, timeout_ms=_ASK_MS)
        except KafkaError as problem:
            raise self._refused("commit", problem) from None

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close(autocommit=False)

    def _refused(self, what: str, problem: KafkaError) -> SourceError:
        return SourceError(f"kafka {self._servers} refuses to {what}: {type(problem).__name__}: {problem}")
