"""Sketches of many series as a structure of arrays: sparse log histograms, counts and fixed-point sums.

Merging sorts and adds integers, so any order and grouping of the same parts gives the same arrays to the bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.cells import GAMMA, ZERO_BIN

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]

#: Bins are packed beside their row into one sortable integer: bin + OFFSET lies in 0 .. 2**17.
_OFFSET = 2**16
_WIDTH = 2**17


@dataclass(frozen=True, slots=True)
class Sketches:
    """Sketches of n series, sorted by ``key``; k histogram entries sorted by (row, bin).

    ``count`` samples (ratios: trials), ``total`` the sum in multiples of the signal's step (ratios: hits),
    ``span`` the elapsed ms behind a counter's increments, ``low``/``high`` extremes (NaN: none known).
    """

    key: Hashes
    count: Ints
    total: Ints
    span: Ints
    low: Floats
    high: Floats
    bin_row: Ints
    bin: Ints
    bin_count: Ints

    @classmethod
    def empty(cls) -> "Sketches":
        """No series at all."""
        none, real = np.zeros(0, np.int64), np.zeros(0)
        return cls(np.zeros(0, np.uint64), none, none, none, real, real, none, none, none)

    def __len__(self) -> int:
        return len(self.key)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name, for the state codec."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def group(rows: Sketches) -> Sketches:
    """Merge rows of the same key; the merged ones are sorted by key."""
    ordered = take(rows, np.argsort(rows.key, kind="stable"))
    return collapse(ordered, runs(ordered.key))


def runs(*keys: npt.NDArray[Any]) -> Ints:
    """Where each run of equal keys starts."""
    if not len(keys[0]):
        return np.zeros(0, np.int64)
    changed = np.zeros(len(keys[0]), bool)
    changed[0] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changed)


def collapse(rows: Sketches, starts: Ints) -> Sketches:
    """Merge each run of rows into one, with the key of its first.

    Args:
        rows: n sketches, those to be merged side by side.
        starts: first row of each run, from 0.
    """
    if len(starts) == len(rows):
        return rows
    place = np.zeros(len(rows), np.int64)
    place[starts[1:]] = 1
    place = np.cumsum(place)
    # the entries of each row are sorted already: a stable sort merges such runs in about linear time
    packed = place[rows.bin_row] * _WIDTH + (rows.bin + _OFFSET)
    by_bin = np.argsort(packed, kind="stable")
    packed = packed[by_bin]
    edges = runs(packed)
    return Sketches(
        key=rows.key[starts],
        count=np.add.reduceat(rows.count, starts),
        total=np.add.reduceat(rows.total, starts),
        span=np.add.reduceat(rows.span, starts),
        low=np.fmin.reduceat(rows.low, starts),
        high=np.fmax.reduceat(rows.high, starts),
        bin_row=packed[edges] // _WIDTH,
        bin=packed[edges] % _WIDTH - _OFFSET,
        bin_count=np.add.reduceat(rows.bin_count[by_bin], edges) if len(edges) else edges,
    )


def concat(parts: Sequence[Sketches]) -> Sketches:
    """Sketches one after another, unmerged."""
    if not parts:
        return Sketches.empty()
    offsets = np.cumsum([0, *(len(part) for part in parts[:-1])])
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Sketches)
        if field.name != "bin_row"
    }
    rows = np.concatenate([part.bin_row + offset for part, offset in zip(parts, offsets, strict=True)])
    return Sketches(**columns, bin_row=rows)


def merge(parts: Sequence[Sketches]) -> Sketches:
    """One sketch per key out of several sets of sketches."""
    return parts[0] if len(parts) == 1 else group(concat(parts))


def take(rows: Sketches, index: Ints) -> Sketches:
    """The rows at ``index``, in that order, repeats allowed."""
    held = np.bincount(rows.bin_row, minlength=len(rows))
    starts, lengths = (np.cumsum(held) - held)[index], held[index]
    ends = np.cumsum(lengths)
    entry = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    return Sketches(
        key=rows.key[index],
        count=rows.count[index],
        total=rows.total[index],
        span=rows.span[index],
        low=rows.low[index],
        high=rows.high[index],
        bin_row=np.repeat(np.arange(len(index)), lengths),
        bin=rows.bin[entry],
        bin_count=rows.bin_count[entry],
    )


def quantiles(rows: Sketches, probabilities: Sequence[float]) -> Floats:
    """Quantiles of every row's histogram, within 2 % of a value that was seen.

    Args:
        rows: n sketches.
        probabilities: q of them, 0 to 1.

    Returns:
        [n, q] values; NaN where a row has no histogram.
    """
    summed = np.r_[0, np.cumsum(rows.bin_count)]
    first = np.searchsorted(rows.bin_row, np.arange(len(rows)), side="left")
    last = np.searchsorted(rows.bin_row, np.arange(len(rows)), side="right")
    held = summed[last] - summed[first]
    found = np.full((len(rows), len(probabilities)), np.nan)
    some = np.flatnonzero(held > 0)
    for column, probability in enumerate(probabilities):
        # the first entry whose running count reaches the rank
        rank = np.maximum(np.ceil(probability * held[some]).astype(np.int64), 1)
        entry = np.searchsorted(summed, summed[first[some]] + rank, side="left") - 1
        bins = rows.bin[entry]
        middle = np.where(bins == ZERO_BIN, 0.0, 2.0 * GAMMA ** np.clip(bins, -4096, 4096) / (GAMMA + 1.0))
        found[some, column] = np.fmin(np.fmax(middle, rows.low[some]), rows.high[some])
    return found
