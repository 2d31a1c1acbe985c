"""What travels from a source partition to a shard: its new time, and the partial sketches for that shard.

Every delivery of a partition sends one message to *every* shard, so a shard knows each partition's time
exactly as far as it has the partition's samples. Messages of a partition form a chain by offset
(``after`` → ``offset``): a replayed message is recognised, one that overtook another is held back.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from schemas.records import ChangeRecord

#: Room in a chain position for changes of state between two records.
CHAIN_STEPS = 2**12

PartitionState = Literal["active", "idle", "exhausted"]


class ProducerFault(Struct, frozen=True, kw_only=True):
    """One event-time minute of one producer in which most of its samples were late or far ahead."""

    topic: str
    partition: str
    producer: str
    field: str
    minute_ms: int
    samples: int
    late: int
    ahead: int
    skew_s: float
    partition_wide: bool


class Message(Struct, frozen=True, kw_only=True):
    """One delivery of one partition, as one shard sees it.

    ``after`` and ``offset`` are positions in the partition's chain: ``CHAIN_STEPS`` times the offset of the
    next record to read, plus the state changes told since the last record. A delivery's ``after`` is the
    ``offset`` of the one before it, -1 for the first. They grow strictly, and depend on nothing but what was
    read.

    ``cells``: Arrow IPC stream of the cell table (`operators.cells`); ``vectors``: Arrow IPC stream of
    projected embedding rows (`operators.embedding.vectors.VECTORS`). ``ledger``: accepted samples by
    ``topic`` and bucket start, for every shard: a window in which the whole pipeline was silent is nobody's
    absence. Shard 0 alone counts from it what came below a closed bucket, exactly once; ``faults`` and
    ``edges`` go to it alone.
    ``partitions``: every partition that is known, so that no shard runs ahead of one not heard of yet.
    """

    partition: str
    after: int
    offset: int
    time_ms: int | None
    state: PartitionState = "active"
    partitions: tuple[str, ...] = ()
    cells: bytes | None = None
    vectors: bytes | None = None
    changes: tuple[ChangeRecord, ...] = ()
    faults: tuple[ProducerFault, ...] = ()
    ledger: dict[str, dict[int, int]] = {}
    edges: tuple[tuple[str, str, str], ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """Message to bytes, for an engine's shuffle."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """Bytes back to the message; raises `msgspec.DecodeError` or `ValidationError` on foreign bytes."""
    return _decoder.decode(data)
