"""The seam between driftline and a Kafka library: a new library is one file and one line below."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol, cast

from msgspec import Struct

from operators.adapters.kafka.options import KafkaOptions
from operators.intake import SourceRecord

#: (topic, partition number)
TopicPartition = tuple[str, int]


class OutRecord(Struct, frozen=True):
    """One record to send; without a partition and a key it goes to any partition."""

    topic: str
    key: bytes | None
    headers: list[tuple[str, bytes]]
    value: bytes
    partition: int | None = None


class KafkaClient(Protocol):
    """A consumer with partitions assigned by hand; `SourceError` when the broker refuses.

    It reads what transactions committed, and passes over gaps in the offsets. A broker that goes away makes
    `poll` give nothing, and questions fail; it is found again when it comes back. Whoever reads says so in
    ``begun``: from then on a question is given up sooner, see `KafkaOptions.patience_s`.
    """

    begun: bool

    def __init__(self, options: KafkaOptions) -> None: ...

    def partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        """The partitions of those topics that exist."""
        ...

    def assign(self, positions: Mapping[TopicPartition, int | None]) -> None:
        """Read these partitions; None starts at the group's committed offset, else where options say.

        All that must be asked is asked first: where it is refused, the partitions from before go on.
        """
        ...

    def poll(
        self, paused: Sequence[TopicPartition], timeout_s: float
    ) -> dict[TopicPartition, list[SourceRecord]]:
        """Records of the partitions that are not paused, waiting for at most that long."""
        ...

    def position(self, partition: TopicPartition) -> int:
        """The next offset that will be read; behind what no reader is shown, once that was passed."""
        ...

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the last record of each that can be read."""
        ...

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit these next offsets for the group."""
        ...

    def close(self) -> None:
        """Leave the broker."""
        ...


class KafkaProducer(Protocol):
    """Sends records with ``acks=all`` and idempotence, keyed as Java's client does it (murmur2)."""

    def __init__(self, options: KafkaOptions) -> None: ...

    def deliver(self, records: Sequence[OutRecord]) -> dict[int, str]:
        """Send, and wait until the brokers have it all or ``timeout_s`` is over; it is tried again till then.

        Returns:
            Index → why, of the records they have not taken. Those may have arrived all the same, where only
            the answer was lost. A producer that failed at one may fail at all that follows: use another.

        Raises:
            SinkError: nothing could be sent at all.
        """
        ...

    def close(self) -> None:
        """Leave the broker."""
        ...


#: Client libraries by their name in the config.
CLIENTS: dict[str, str] = {
    "aiokafka": "operators.adapters.kafka.aio",
    "confluent-kafka": "operators.adapters.kafka.confluent",
    "kafka-python": "operators.adapters.kafka.kafka_python",
}


def connect(name: str, options: KafkaOptions) -> KafkaClient:
    """A consumer of that library, connected; `SourceError` where it cannot be."""
    return cast(KafkaClient, import_module(CLIENTS[name]).Client(options))


def connect_producer(name: str, options: KafkaOptions) -> KafkaProducer:
    """A producer of that library; `SinkError` where it cannot be connected (with some: at first delivery)."""
    return cast(KafkaProducer, import_module(CLIENTS[name]).Producer(options))
