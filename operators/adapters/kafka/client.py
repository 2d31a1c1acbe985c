"""The seam between the Kafka source and a client library: a new client is one file and one line below."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol, cast

from msgspec import Struct

from operators.intake import SourceRecord

#: (topic, partition number)
TopicPartition = tuple[str, int]


class KafkaOptions(Struct, frozen=True, kw_only=True):
    """How the broker is reached; secrets are here already, so an instance is never shown or logged."""

    servers: str
    group: str = "driftline"
    start: str = "earliest"
    security_protocol: str = "PLAINTEXT"
    ssl_ca_file: str | None = None
    ssl_cert_file: str | None = None
    ssl_key_file: str | None = None
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = None
    api_version: tuple[int, int] | None = None
    max_poll_records: int = 1000
    bootstrap_timeout_s: float = 10.0

    def __repr__(self) -> str:
        return f"KafkaOptions(servers={self.servers!r}, group={self.group!r})"


class KafkaClient(Protocol):
    """A consumer with partitions assigned by hand; `SourceError` when the broker refuses."""

    def __init__(self, options: KafkaOptions) -> None: ...

    def partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        """The partitions of those topics that exist."""
        ...

    def assign(self, positions: Mapping[TopicPartition, int | None]) -> None:
        """Read these partitions; None starts at the group's committed offset, else where options say."""
        ...

    def poll(
        self, paused: Sequence[TopicPartition], timeout_s: float
    ) -> dict[TopicPartition, list[SourceRecord]]:
        """Records of the partitions that are not paused, waiting for at most that long."""
        ...

    def position(self, partition: TopicPartition) -> int:
        """The next offset that will be read."""
        ...

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the last record of each."""
        ...

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit these next offsets for the group."""
        ...

    def close(self) -> None:
        """Leave the broker."""
        ...


#: Client libraries by their name in the config.
CLIENTS: dict[str, str] = {"kafka-python": "operators.adapters.kafka.kafka_python:KafkaPythonClient"}


def connect(name: str, options: KafkaOptions) -> KafkaClient:
    """A client of that library, connected."""
    module, attribute = CLIENTS[name].split(":")
    return cast(KafkaClient, getattr(import_module(module), attribute)(options))
