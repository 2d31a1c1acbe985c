"""Which source a reading came from: a stable number for the whole identity a sample carries."""

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np

from operators.fold.coding import Ints, coded, combine
from operators.fold.parts import column
from schemas.identity import IDENTITY_FIELDS


@lru_cache(maxsize=65_536)
def stream_of(identity: tuple[tuple[str, str], ...]) -> int:
    """Stream of an identity, given as (field, value) pairs in canonical order: signed 64 bit, stable."""
    lines = "\n".join(f"{name}={value}" for name, value in identity)
    return int.from_bytes(hashlib.blake2b(lines.encode(), digest_size=8).digest(), "big", signed=True)


def streams(batch: Any) -> Ints:
    """Stream of every row of a batch: int64[n]. Where the wire names one (OpenTelemetry), it is that."""
    own = column(batch, "stream")
    if own is None:
        return _by_identity(batch)
    return np.where(
        own.is_valid().to_numpy(zero_copy_only=False), own.fill_null(0).to_numpy(), _by_identity(batch)
    )


def _by_identity(batch: Any) -> Ints:
    held = {name: coded(batch.column(name)) for name in IDENTITY_FIELDS if name in batch.schema.names}
    size = batch.num_rows
    if not held:
        return np.full(size, stream_of(()))
    code, _ = combine([(column.codes, len(column.values)) for column in held.values()])
    _, index, inverse = np.unique(code, return_index=True, return_inverse=True)
    words = {name: column.values.to_pylist() for name, column in held.items()}
    known = [
        tuple((name, words[name][code]) for name, column in held.items() if (code := column.codes[row]) >= 0)
        for row in index
    ]
    return np.array([stream_of(identity) for identity in known], np.int64)[inverse]
