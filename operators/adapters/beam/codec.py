"""Bytes that travel between Beam's stages: what a poll gave, one shard's part, what a shard hands out."""

from typing import NamedTuple

import pyarrow as pa
from msgspec import Struct, msgpack

from operators.adapters.accounting import lines
from operators.adapters.beam.totals import Totals
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


class Packet(Struct, frozen=True, array_like=True):
    """What one shard gets of a poll; ``counts``: the poll's accounts, for shard 0 alone."""

    messages: list[Message]
    counts: list[Count] = []


class Handout(NamedTuple):
    """What a shard hands out: an emission, how far it is done (Unix ms), its totals; both where told."""

    emission: Emission
    done_to: int | None = None
    totals: Totals | None = None


class _Handout(Struct, frozen=True):
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
    totals: Totals | None


_parcels = msgpack.Decoder(Parcel)
_packets = msgpack.Decoder(Packet)
_handouts = msgpack.Decoder(_Handout)


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


def packets(contents: Parcel) -> dict[int, bytes]:
    """The packets of a parcel, by shard, as bytes."""
    found = {shard: Packet(messages) for shard, messages in contents.messages.items()}
    if contents.accounts:
        found[0] = Packet(contents.messages.get(0, []), contents.accounts)
    return {shard: msgpack.encode(packet) for shard, packet in found.items()}


def decode_packet(data: bytes) -> Packet:
    """A packet from its bytes."""
    return _packets.decode(data)


def encode_handout(handout: Handout) -> bytes:
    """A handout as bytes, the emission's buckets as an Arrow IPC stream."""
    emission = handout.emission
    buckets = None
    if emission.buckets is not None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, emission.buckets.schema) as writer:
            writer.write_table(emission.buckets)
        buckets = sink.getvalue().to_pybytes()
    return msgpack.encode(
        _Handout(
            emission.shard,
            emission.first_ms,
            emission.last_ms,
            emission.events,
            emission.windows,
            buckets,
            emission.changes,
            emission.edges,
            emission.late,
            handout.done_to,
            handout.totals,
        )
    )


def decode_handout(data: bytes) -> Handout:
    """Bytes of `encode_handout`."""
    wire = _handouts.decode(data)
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
    return Handout(emission, wire.done_to, wire.totals)
