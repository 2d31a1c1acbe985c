"""Merging cell tables: exact, in any order and grouping, into one canonical form."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from operators.cells import cell_fields
from operators.fold.coding import Ints, coded, combine
from operators.fold.parts import NO_BIN
from operators.fold.table import Entries, Keys, Readings, build, no_cells
from operators.settings import Slicing


def merge(cells: Sequence[pa.RecordBatch], slicing: Slicing) -> pa.RecordBatch:
    """Merge cell tables of the same slices.

    Returns:
        Their cells in canonical order, each key once: the same bytes for any order and grouping.
    """
    filled = [batch for batch in cells if batch.num_rows]
    if not filled:
        return no_cells(slicing)
    table = pa.Table.from_batches(filled).unify_dictionaries().combine_chunks()
    batch = table.to_batches()[0]
    bucket = batch.column("bucket").to_numpy()
    known, place = np.unique(bucket, return_inverse=True)
    names = ("topic", "signal", "attribute", *cell_fields(slicing))
    words = {name: coded(batch.column(name)) for name in names}
    stream = batch.column("stream")
    stream_code = _stream_codes(stream)
    front, back = [words.pop(name) for name in ("topic", "signal", "attribute")], words
    code, _ = combine(
        [
            *((held.codes, len(held.values)) for held in front),
            (place, len(known)),
            *((held.codes, len(held.values)) for held in back.values()),
            (stream_code, len(stream_code)),
        ]
    )
    _, sample, cell = np.unique(code, return_index=True, return_inverse=True)
    keys = Keys(
        bucket=bucket[sample],
        topic=front[0].take(sample),
        signal=front[1].take(sample),
        attribute=front[2].take(sample),
        stream=stream.take(pa.array(sample)),
        fields={name: held.take(sample) for name, held in back.items()},
    )
    return build(keys, _entries(batch, cell), _readings(batch, cell), slicing)


def _stream_codes(stream: Any) -> Ints:
    _, ranks = np.unique(stream.fill_null(0).to_numpy(), return_inverse=True)
    return np.where(stream.is_valid().to_numpy(zero_copy_only=False), ranks, -1)


def _lengths(lists: Any) -> Ints:
    lengths: Ints = np.diff(lists.offsets.to_numpy()).astype(np.int64)
    return lengths


def _entries(batch: Any, cell: Ints) -> Entries:
    """Each cell's own figures, then its histogram; cells of readings count these alone."""
    times, bins = batch.column("point_times"), batch.column("bins")
    own = np.flatnonzero(_lengths(times) == 0)
    binned = np.repeat(cell, _lengths(bins))
    nothing, none = np.zeros(len(binned), np.int64), np.full(len(binned), np.nan)

    def figures(name: str) -> Any:
        return batch.column(name).to_numpy(zero_copy_only=False)[own]

    return Entries(
        cell=np.concatenate([cell[own], binned]),
        count=np.concatenate([figures("count"), nothing]),
        total=np.concatenate([figures("sum"), nothing]),
        low=np.concatenate([figures("min").astype(np.float64), none]),
        high=np.concatenate([figures("max").astype(np.float64), none]),
        bin=np.concatenate([np.full(len(own), NO_BIN), bins.flatten().to_numpy().astype(np.int64)]),
        bin_count=np.concatenate(
            [np.zeros(len(own), np.int64), batch.column("bin_counts").flatten().to_numpy()]
        ),
    )


def _readings(batch: Any, cell: Ints) -> Readings:
    times = batch.column("point_times")
    return Readings(
        np.repeat(cell, _lengths(times)),
        times.flatten().to_numpy(),
        batch.column("point_values").flatten().to_numpy(),
    )
