"""Where records come from: files here, Kafka in its adapter; both hand out the same records."""

from msgspec import Struct


class SourceRecord(Struct, frozen=True, gc=False):
    """One record of a partition.

    ``topic`` is the canonical name, ``partition`` is ``topic/number``; ``offset`` numbers the partition's
    records, ascending; ``broker_time_ms`` (Unix ms) is the Kafka timestamp, None from files.
    """

    topic: str
    partition: str
    offset: int
    value: bytes
    broker_time_ms: int | None
    headers: tuple[tuple[str, bytes], ...] = ()
