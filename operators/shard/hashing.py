"""64-bit content hashes of names and of rows of names: the same on every machine, run and arrival order."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

_MASK = 2**64 - 1


@lru_cache(maxsize=262_144)
def name_hash(text: str) -> int:
    """64 bits of BLAKE2b of the text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def mixed(values: Hashes) -> Hashes:
    """Numbers spread over all 64 bits, one to one."""
    # the finaliser of splitmix64 (Steele, Lea, Flood 2014): sums of its outputs do not cancel by accident
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def field_hashes(field: str, values: Sequence[str]) -> Hashes:
    """One hash per value of a field; a row's hash is the sum over its fields, absent ones adding zero."""
    salt = name_hash("field:" + field)
    raw = np.fromiter(((name_hash(value) + salt) & _MASK for value in values), np.uint64, len(values))
    return mixed(raw)
