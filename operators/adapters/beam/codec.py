"""Bytes that travel between Beam's stages: what a poll gave (`Parcel`), a shard's messages, and emissions."""

import pyarrow as pa
from msgspec import Struct, msgpack

from operators.adapters.accounting import lines
from operators.adapters.reader import Step
from operators.dead_letters import DeadLetter
from operators.emission import Emission
from operators.intake import Accounts
from operators.message import Message
from schemas.outputs import AnomalyEvent, AnomalyWindow
from schemas.records import ChangeRecord
from schemas.rows import Count


class Parcel(Struct, frozen=True):
    """All deliveries of one poll: messages by shard, dead letters, accounts."""

    messages: dict[int, list[Message]]
    dead_letters: list[DeadLetter]
    accounts: list[Count]


class _Emission(Struct, frozen=True):
    shard: int
    first_ms: int | None
    last_ms: int | None
    events: tuple[AnomalyEvent, ...]
    windows: tuple[AnomalyWindow, ...]
    buckets: bytes | None
    changes: tuple[ChangeRecord, ...]
    edges: tuple[tuple[str, str, str], ...]
    late: dict[str, int]
    done_to: int | None


_parcels = msgpack.Decoder(Parcel)
_messages = msgpack.Decoder(list[Message])
_emissions = msgpack.Decoder(_Emission)


def parcel(steps: list[Step]) -> Parcel:
    """The deliveries of one poll as one parcel."""
    messages: dict[int, list[Message]] = {}
    for step in steps:
        for shard, message in step.delivery.messages.items():
            messages.setdefault(shard, []).append(message)
    letters = [letter for step in steps for letter in step.delivery.dead_letters]
    accounts = sum((step.delivery.accounts for step in steps), Accounts())
    return Parcel(messages, letters, list(lines(accounts)))


def encode_parcel(contents: Parcel) -> bytes:
    """A parcel as bytes."""
    return msgpack.encode(contents)


def decode_parcel(data: bytes) -> Parcel:
    """Bytes of `encode_parcel`."""
    return _parcels.decode(data)


def encode_messages(messages: list[Message]) -> bytes:
    """Messages of one shard as bytes."""
    return msgpack.encode(messages)


def decode_messages(data: bytes) -> list[Message]:
    """Bytes of `encode_messages`."""
    return _messages.decode(data)


def encode_emission(emission: Emission, done_to: int | None) -> bytes:
    """An emission as bytes, its buckets as an Arrow IPC stream; ``done_to`` says how far its shard is."""
    buckets = None
    if emission.buckets is not None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, emission.buckets.schema) as writer:
            writer.write_table(emission.buckets)
        buckets = sink.getvalue().to_pybytes()
    return msgpack.encode(
        _Emission(
            emission.shard,
            emission.first_ms,
            emission.last_ms,
            emission.events,
            emission.windows,
            buckets,
            emission.changes,
            emission.edges,
            emission.late,
            done_to,
        )
    )


def decode_emission(data: bytes) -> tuple[Emission, int | None]:
    """Bytes of `encode_emission`."""
    wire = _emissions.decode(data)
    buckets = pa.ipc.open_stream(wire.buckets).read_all() if wire.buckets is not None else None
    emission = Emission(
        shard=wire.shard,
        first_ms=wire.first_ms,
        last_ms=wire.last_ms,
        events=wire.events,
        windows=wire.windows,
        buckets=buckets,
        changes=wire.changes,
        edges=wire.edges,
        late=wire.late,
    )
    return emission, wire.done_to
