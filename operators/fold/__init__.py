"""Fold: accepted samples become cells, once, at the finest slice any series needs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from operators.cells import cell_fields
from operators.fold.bins import bin_of
from operators.fold.coding import Coded, Floats, Ints, coded, combine, strings
from operators.fold.gpu import gpu_parts
from operators.fold.merging import merge
from operators.fold.metrics import metric_parts
from operators.fold.parts import MAX_STEPS, NO_BIN, Part
from operators.fold.requests import request_parts
from operators.fold.streams import streams
from operators.fold.table import Entries, Keys, Readings, build, no_cells
from operators.settings import Settings
from schemas.chunk import Chunk
from schemas.signals import SIGNALS

__all__ = ["fold", "merge"]

_PARTS = {"requests": request_parts, "gpu": gpu_parts, "metrics": metric_parts}


def fold(chunks: Sequence[Chunk], settings: Settings) -> pa.RecordBatch:
    """Fold chunks of requests, GPU scrapes and metrics into one cell table; other forms hold no scalars.

    Returns:
        Cells as `operators.cells.cell_schema`, in canonical order, no two of the same key.
    """
    with np.errstate(over="ignore"):  # what overflows is clipped
        folded = [_fold_one(each, settings) for each in chunks if each.form in _PARTS and each.batch.num_rows]
    return folded[0] if len(folded) == 1 else merge(folded, settings.slices)


def _fold_one(chunk: Chunk, settings: Settings) -> pa.RecordBatch:
    batch = chunk.batch
    parts = [part for part in _PARTS[chunk.form](batch) if len(part.row)]
    if not parts:
        return no_cells(settings.slices)
    time = batch.column("event_time").to_numpy()
    bucket_ms = settings.windows.bucket_s * 1000
    bucket = time // bucket_ms * bucket_ms
    fields = _slice_fields(batch, cell_fields(settings.slices))
    group, groups, sample = _groups(bucket, fields)
    streamed = streams(batch) if any(part.points for part in parts) else np.zeros(0, np.int64)
    stream_values, stream = np.unique(streamed, return_inverse=True)
    slots = len(stream_values) + 1  # slot 0: no stream

    names, place = _names(parts)
    code = [
        (place[(part.signal, part.attributes)][part.attribute] * groups + group[part.row]) * slots
        + (stream[part.row] + 1 if part.points else 0)
        for part in parts
    ]
    cells, cell = _distinct(np.concatenate(code), len(names) * groups * slots)
    name, cell_group, cell_stream = cells // (groups * slots), cells // slots % groups, cells % slots
    signals, attributes = zip(*names, strict=True)
    keys = Keys(
        bucket=bucket[sample][cell_group],
        topic=Coded(np.zeros(len(cells), np.int64), pa.array([chunk.topic])),
        signal=_column(signals, name),
        attribute=_column(attributes, name),
        stream=pa.array(np.concatenate([[0], stream_values])[cell_stream], mask=cell_stream == 0),
        fields={field: held.take(sample[cell_group]) for field, held in fields.items()},
    )
    entries, readings = _flat(parts, cell, time)
    return build(keys, entries, readings, settings.slices)


def _distinct(code: Ints, bound: int) -> tuple[Ints, Ints]:
    """The distinct codes, ascending, and the place of each code among them; all codes are below ``bound``."""
    if bound > 8 * len(code):
        known, place = np.unique(code, return_inverse=True)
        return known, place
    met = np.zeros(bound, bool)
    met[code] = True
    return np.flatnonzero(met), (np.cumsum(met) - 1)[code]


def _slice_fields(batch: Any, names: Sequence[str]) -> dict[str, Coded]:
    """The identity that tells cells apart. A request that ran on one GPU and names no other belongs to it."""
    size = batch.num_rows
    absent = Coded(np.full(size, -1), pa.array([], pa.utf8()))
    held = {name: coded(batch.column(name)) if name in batch.schema.names else absent for name in names}
    if "gpus" in batch.schema.names and "gpu" in held:
        held["gpu"] = _only_gpu(held["gpu"], batch.column("gpus"))
    return held


def _only_gpu(gpu: Coded, ran_on: Any) -> Coded:
    lengths = np.diff(ran_on.offsets.to_numpy())
    lone = (gpu.codes < 0) & (lengths == 1) & ran_on.is_valid().to_numpy(zero_copy_only=False)
    if not lone.any():
        return gpu
    named = ran_on.values.take(pa.array(ran_on.offsets.to_numpy()[:-1][lone]))
    words = np.array([None, *gpu.values.to_pylist()], object)[gpu.codes + 1]
    words[lone] = named.cast(pa.utf8()).to_pylist()
    return coded(pa.array(words, pa.utf8()).dictionary_encode())


def _groups(bucket: Ints, fields: dict[str, Coded]) -> tuple[Ints, int, Ints]:
    """Group of each row, the number of groups, and one row of each; groups are in canonical order."""
    known, place = np.unique(bucket, return_inverse=True)
    code, _ = combine([(place, len(known)), *((held.codes, len(held.values)) for held in fields.values())])
    _, sample, group = np.unique(code, return_index=True, return_inverse=True)
    return group, len(sample), sample


def _names(parts: Sequence[Part]) -> tuple[list[tuple[str, str]], dict[tuple[str, tuple[str, ...]], Ints]]:
    """Every (signal, attribute), sorted, and for each part's attributes their places in it."""
    names = sorted({(part.signal, label) for part in parts for label in part.attributes})
    rank = {name: place for place, name in enumerate(names)}
    places = {
        (part.signal, part.attributes): np.array([rank[(part.signal, label)] for label in part.attributes])
        for part in parts
    }
    return names, places


def _column(words: Sequence[str], name: Ints) -> Coded:
    known = sorted(set(words))
    rank = {word: place for place, word in enumerate(known)}
    return strings(known, np.array([rank[word] for word in words])[name])


def _flat(parts: Sequence[Part], cell: Ints, time: Ints) -> tuple[Entries, Readings]:
    """All parts one after another: what is added up, and what is kept as readings."""
    sizes = [len(part.row) for part in parts]
    value: Floats = np.concatenate([part.value for part in parts]) + 0.0  # one zero: -0.0 would tie with it
    reading = np.repeat([part.points for part in parts], sizes)
    step = np.repeat([SIGNALS[part.signal].step for part in parts], sizes)
    total = np.rint(np.concatenate([part.total for part in parts]) / step)
    count = np.concatenate([part.count for part in parts])
    added = ~reading if reading.any() else slice(None)
    entries = Entries(
        cell=cell[added],
        count=count[added],
        total=np.clip(total, -MAX_STEPS, MAX_STEPS).astype(np.int64)[added],
        low=value[added],
        high=value[added],
        bin=_bins(parts, sizes, value)[added],
        bin_count=count[added],
    )
    row = np.concatenate([part.row for part in parts])[reading]
    return entries, Readings(cell[reading], time[row], value[reading])


def _bins(parts: Sequence[Part], sizes: Sequence[int], value: Floats) -> Ints:
    bins = np.full(len(value), NO_BIN, np.int64)
    valued = np.flatnonzero(~np.isnan(value))
    bins[valued] = bin_of(value[valued])
    for part, end in zip(parts, np.cumsum(sizes), strict=True):
        if part.bin is not None:
            bins[end - len(part.bin) : end] = part.bin
    return bins
