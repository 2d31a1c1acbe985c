"""Who sent each sample: its producer, else replica, else node, else the partition as one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from operators.fold.coding import Ints, coded
from operators.intake.hashing import Hashes, mixed, of_strings
from operators.intake.time import Producer

#: The partition as one producer.
ANYONE: Producer = ("", "")
_FIELDS = ("node", "replica", "producer")  # the last one present wins


def producers_of(batches: Sequence[Any]) -> tuple[list[Ints], list[Producer]]:
    """Index of every row's producer into the returned producers, one array a batch."""
    known: dict[Producer, int] = {}
    found = []
    for batch in batches:
        codes = np.full(batch.num_rows, -1)
        for name in _FIELDS:
            if name in batch.schema.names:
                column = coded(batch.column(name))
                places = [known.setdefault((name, word), len(known)) for word in column.values.to_pylist()]
                codes = np.where(column.codes >= 0, np.array([*places, -1])[column.codes], codes)
        if (codes < 0).any():
            codes[codes < 0] = known.setdefault(ANYONE, len(known))
        found.append(codes)
    return found, list(known)


def hashes_of(batch: Any) -> Hashes:
    """Hash of every row's producer, telling apart the field that names it."""
    hashes = np.zeros(batch.num_rows, np.uint64)
    for place, name in enumerate(_FIELDS, 1):
        if name in batch.schema.names:
            column = batch.column(name)
            own = mixed(of_strings(column), np.full(batch.num_rows, place, np.uint64))
            valid = column.is_valid().to_numpy(zero_copy_only=False)
            hashes = np.where(valid, own, hashes)
    return hashes
