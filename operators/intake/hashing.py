"""64-bit hashes of keys, for whole columns at once: stable across processes, machines and batches."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_SEED = np.uint64(0x9E3779B97F4A7C15)
_ODD = np.uint64(0xBF58476D1CE4E5B9)
_ODD_TOO = np.uint64(0x94D049BB133111EB)
_WORD = 8


def mixed(state: Hashes, word: Hashes) -> Hashes:
    """One more word into each hash (the finaliser of splitmix64, which has no weak bits)."""
    state = (state ^ word) + _SEED
    state = (state ^ (state >> np.uint64(30))) * _ODD
    state = (state ^ (state >> np.uint64(27))) * _ODD_TOO
    mixed_state: Hashes = state ^ (state >> np.uint64(31))
    return mixed_state


def of_numbers(values: npt.NDArray[np.int64]) -> Hashes:
    """Integers as words."""
    return values.astype(np.int64).view(np.uint64)


def of_strings(column: Any) -> Hashes:
    """Hash of each row of a ``dictionary<int32, utf8>`` column, 0 where null; each value is hashed once."""
    codes = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
    if not len(column.dictionary):
        return np.zeros(len(codes), np.uint64)
    hashes: Hashes = _of_values(column.dictionary)[codes]
    if column.null_count:
        hashes = np.where(column.is_valid().to_numpy(zero_copy_only=False), hashes, np.uint64(0))
    return hashes


def _of_values(values: Any) -> Hashes:
    """Eight bytes at a time, all values in step."""
    buffers = values.buffers()
    width = np.int64 if pa.types.is_large_string(values.type) else np.int32
    offsets = np.frombuffer(buffers[1], width)[values.offset : values.offset + len(values) + 1].astype(
        np.int64
    )
    data = buffers[2].to_pybytes() if buffers[2] is not None else b""
    padded = data + bytes(_WORD)
    words = np.ndarray((len(data) + 1,), "<u8", padded, strides=(1,))
    start, left = offsets[:-1].copy(), np.diff(offsets)
    state = mixed(np.full(len(values), _SEED), of_numbers(left))
    active = np.flatnonzero(left > 0)
    while len(active):
        word = words[start[active]].astype(np.uint64)
        spare = (_WORD - np.minimum(left[active], _WORD)) * 8
        word &= np.uint64(2**64 - 1) >> spare.astype(np.uint64)
        state[active] = mixed(state[active], word)
        start[active] += _WORD
        left[active] -= _WORD
        active = active[left[active] > 0]
    return state
