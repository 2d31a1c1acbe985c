"""Cells from entries: sums, extremes, histograms and readings of all cells at once.

Cells come out in canonical order (topic, signal, attribute, bucket, slice fields, stream; null first), with
sorted dictionaries and lists, so that equal cells are equal bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.cells import cell_schema
from operators.fold.coding import Coded, Floats, Ints
from operators.fold.parts import NO_BIN
from operators.settings import Slicing

#: A bin beside its cell in one sortable integer: bin + _OFFSET lies in 0 .. _WIDTH - 1.
_OFFSET = -NO_BIN
_WIDTH = 2**17


@dataclass(frozen=True, slots=True)
class Entries:
    """k entries to add up: ``cell`` orders them; extremes NaN for none, ``bin`` `NO_BIN` for none.

    ``count`` and ``bin_count`` differ where an entry adds to a histogram without being a sample of its own.
    """

    cell: Ints
    count: Ints
    total: Ints
    low: Floats
    high: Floats
    bin: Ints
    bin_count: Ints


@dataclass(frozen=True, slots=True)
class Readings:
    """k readings of cumulative values: ``time`` Unix ms."""

    cell: Ints
    time: Ints
    value: Floats


@dataclass(frozen=True, slots=True)
class Keys:
    """What tells m cells apart, in the order of the cells."""

    bucket: Ints
    topic: Coded
    signal: Coded
    attribute: Coded
    stream: Any
    fields: Mapping[str, Coded]


def starts_of(ordered: npt.NDArray[Any]) -> Ints:
    """Where each run of equal values of a sorted array begins."""
    if not len(ordered):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _lists(cells: Ints, size: int, *columns: Any) -> list[Any]:
    """Flat columns sorted by cell as list arrays of ``size`` cells."""
    offsets = pa.array(np.searchsorted(cells, np.arange(size + 1)).astype(np.int32))
    return [pa.ListArray.from_arrays(offsets, column) for column in columns]


def _extremes(found: Floats) -> Any:
    return pa.array(found, mask=np.isnan(found))


def no_cells(slicing: Slicing) -> pa.RecordBatch:
    """A cell table without cells."""
    schema = cell_schema(slicing)
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def build(keys: Keys, entries: Entries, readings: Readings, slicing: Slicing) -> pa.RecordBatch:
    """Add up entries and readings into the cells that ``keys`` describe (each has at least one)."""
    size = len(keys.bucket)
    count, total = np.zeros(size, np.int64), np.zeros(size, np.int64)
    low, high = np.full(size, np.nan), np.full(size, np.nan)
    np.add.at(count, entries.cell, entries.count)
    np.add.at(total, entries.cell, entries.total)
    np.fmin.at(low, entries.cell, entries.low)
    np.fmax.at(high, entries.cell, entries.high)
    binned = np.flatnonzero(entries.bin != NO_BIN)
    packed = entries.cell[binned] * _WIDTH + (entries.bin[binned] + _OFFSET)
    order = np.argsort(packed)  # entries of one cell and bin in any order: they add up
    packed = packed[order]
    run = starts_of(packed)
    bin_count = entries.bin_count[binned][order]
    bin_count = np.add.reduceat(bin_count, run) if len(run) else bin_count
    packed = packed[run]
    if len(readings.cell):
        count += np.bincount(readings.cell, minlength=size)
    by_time = np.lexsort((readings.value, readings.time, readings.cell))
    columns: dict[str, Any] = {
        "bucket": pa.array(keys.bucket),
        "topic": keys.topic.array(),
        "signal": keys.signal.array(),
        "attribute": keys.attribute.array(),
        "count": pa.array(count),
        "sum": pa.array(total),
        "min": _extremes(low),
        "max": _extremes(high),
        "stream": keys.stream,
        **{name: field.array() for name, field in keys.fields.items()},
    }
    columns["bins"], columns["bin_counts"] = _lists(
        packed // _WIDTH, size, pa.array((packed % _WIDTH - _OFFSET).astype(np.int32)), pa.array(bin_count)
    )
    columns["point_times"], columns["point_values"] = _lists(
        readings.cell[by_time], size, pa.array(readings.time[by_time]), pa.array(readings.value[by_time])
    )
    schema = cell_schema(slicing)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
