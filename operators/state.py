"""The state codec: a versioned binary snapshot of plain values and numpy arrays.

Layout: magic, digest, zstd frame of a length-prefixed msgpack header and the arrays' bytes, one after
another. The digest is over the frame, so that damage is seen before anything is made of it. Writing and
reading take time linear in the size, and what is read equals what was written to the bit. A snapshot of
another kind or of an unknown version is refused, never misread.
"""

import hashlib
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard

from schemas.plans import prepare

_MAGIC = b"DRIFTST2"
_DIGEST = 16
_LENGTH = struct.Struct("<Q")

Array = npt.NDArray[Any]


class StateError(ValueError):
    """A snapshot that cannot be read: foreign, damaged, or of a version this code does not know."""


class State(NamedTuple):
    """What a snapshot held: the version it was written by, its plain values and its arrays."""

    version: int
    values: dict[str, Any]
    arrays: dict[str, Array]


class _Header(msgspec.Struct, frozen=True):
    kind: str
    version: int
    values: dict[str, Any]
    arrays: list[tuple[str, str, list[int]]]


prepare(_Header)


def pack(kind: str, version: int, values: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Write a snapshot.

    Args:
        kind: what the state is of, as ``shard``; reading asks for the same.
        version: of the layout of ``values`` and ``arrays``.
        values: anything msgpack can hold (also bytes, so that snapshots nest).
        arrays: numpy arrays of numbers.

    Returns:
        The snapshot's bytes.
    """
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    shapes = [(name, array.dtype.str, list(np.shape(arrays[name]))) for name, array in plain.items()]
    header = msgspec.msgpack.encode(_Header(kind, version, dict(values), shapes))
    body = b"".join([_LENGTH.pack(len(header)), header, *(array.tobytes() for array in plain.values())])
    frame = zstandard.ZstdCompressor(level=1).compress(body)
    return _MAGIC + _digest(frame) + frame


def unpack(kind: str, versions: frozenset[int], data: bytes) -> State:
    """Read a snapshot written by `pack`.

    Raises:
        StateError: not a snapshot, damaged, of another kind, or of a version not among ``versions``.
    """
    if not data.startswith(_MAGIC):
        raise StateError(f"not a driftline snapshot: {kind} state expected")
    start = len(_MAGIC) + _DIGEST
    frame = data[start:]
    if _digest(frame) != data[len(_MAGIC) : start]:
        raise StateError(f"damaged snapshot of {kind} state: its digest does not fit")
    try:
        body = zstandard.ZstdDecompressor().decompress(frame)
        (length,) = _LENGTH.unpack_from(body)
        header = msgspec.msgpack.decode(body[_LENGTH.size : _LENGTH.size + length], type=_Header)
    except (zstandard.ZstdError, msgspec.MsgspecError, struct.error) as error:
        raise StateError(f"damaged snapshot of {kind} state: {error}") from error
    if header.kind != kind:
        raise StateError(f"snapshot holds {header.kind} state, {kind} state expected")
    if header.version not in versions:
        known = ", ".join(str(version) for version in sorted(versions))
        raise StateError(
            f"snapshot of {kind} state has version {header.version}; this driftline reads {known}: "
            "resume with the version that wrote it, or start without state"
        )
    arrays: dict[str, Array] = {}
    place = _LENGTH.size + length
    for name, dtype, shape in header.arrays:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, np.dtype(dtype), count, place).reshape(shape).copy()
        place += arrays[name].nbytes
    return State(header.version, header.values, arrays)


def _digest(frame: bytes) -> bytes:
    return hashlib.blake2b(frame, digest_size=_DIGEST).digest()
