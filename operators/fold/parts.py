"""What the samples of a form contribute to cells, not yet grouped: entries by signal and attribute."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from operators.fold.coding import Floats, Ints

#: Bin of an entry that feeds no histogram.
NO_BIN = -(2**16)
#: Values beyond this many steps of their signal count as this many, so that sums stay exact integers.
MAX_STEPS = 2.0**53


@dataclass(frozen=True, slots=True)
class Part:
    """k entries of one signal.

    ``row``: the sample (row of the form's batch) each entry comes from; ``attribute``: index into
    ``attributes``; ``count`` and ``total`` (in the signal's unit) add up; ``value``: what goes into the
    histogram, min and max, NaN for nothing; ``bin``: its bin where the value does not say it.
    ``points``: the entries are readings, kept with their times instead of being added up.
    """

    signal: str
    attributes: tuple[str, ...]
    attribute: Ints
    row: Ints
    count: Ints
    total: Floats
    value: Floats
    bin: Ints | None = None
    points: bool = False


def values(
    signal: str,
    row: Ints,
    value: Floats,
    *,
    attributes: Sequence[str] = ("",),
    attribute: Ints | None = None,
    weight: Ints | None = None,
) -> Part:
    """Plain values: their distribution, sum, min and max; ``weight``: how many samples each stands for."""
    count = np.ones(len(row), np.int64) if weight is None else weight
    total = value if weight is None else value * weight
    return Part(signal, tuple(attributes), _which(row, attribute), row, count, total, value)


def tallies(
    signal: str,
    row: Ints,
    *,
    total: Floats | None = None,
    attributes: Sequence[str] = ("",),
    attribute: Ints | None = None,
) -> Part:
    """Counts and totals without a distribution; an entry is one sample, and one hit if not said otherwise."""
    totals = np.ones(len(row)) if total is None else total
    nothing = np.full(len(row), np.nan)
    which = _which(row, attribute)
    return Part(signal, tuple(attributes), which, row, np.ones(len(row), np.int64), totals, nothing)


def points(
    signal: str,
    row: Ints,
    value: Floats,
    *,
    attributes: Sequence[str] = ("",),
    attribute: Ints | None = None,
) -> Part:
    """Readings of cumulative counters and codes."""
    ones, none = np.ones(len(row), np.int64), np.zeros(len(row))
    which = _which(row, attribute)
    return Part(signal, tuple(attributes), which, row, ones, none, value, points=True)


def _which(row: Ints, attribute: Ints | None) -> Ints:
    return np.zeros(len(row), np.int64) if attribute is None else attribute


def present(column: Any) -> Ints:
    """Rows that carry a value."""
    if not column.null_count:
        return np.arange(len(column))
    return np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))


def numbers(column: Any) -> Floats:
    """A numeric or boolean column as float64[n], NaN where null."""
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)  # beyond 2**53 rounding is fine
    found: Floats = column.to_numpy(zero_copy_only=False)
    return found


def column(batch: Any, name: str) -> Any | None:
    """The column of that name, or None."""
    place = batch.schema.get_field_index(name)
    return None if place < 0 else batch.column(place)


def listed(lists: Any) -> tuple[Ints, Ints]:
    """A list or map column, flat: the row of each item, and its place in the child array."""
    offsets = lists.offsets.to_numpy().astype(np.int64)
    lengths = np.diff(offsets)
    if lists.null_count:
        lengths = np.where(lists.is_valid().to_numpy(zero_copy_only=False), lengths, 0)
    ends = np.cumsum(lengths)
    place = np.arange(lengths.sum()) + np.repeat(offsets[:-1] - (ends - lengths), lengths)
    return np.repeat(np.arange(len(lists)), lengths), place
