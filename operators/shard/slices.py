"""From cells to slices: each cell feeds every slice it carries the fields of, once.

A slice is a set of identity fields. Of service, request_model and service_version what a cell lacks is left
out; a slice by another field takes only cells that carry it. Two slices that then coincide are one. Each set
keeps at most ``cap`` slices apart, the heaviest of the window in which room ran out; the rest is counted
under ``other``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.cells import cell_fields
from operators.series import Slice
from operators.settings import Slicing
from operators.shard.hashing import Hashes, field_hashes, mixed
from operators.shard.sketches import Floats, Ints, Sketches, collapse, runs, take

#: Fields a slice does without where a sample lacks them.
LEFT_OUT = ("service", "request_model", "service_version")
OTHER = "other"
#: What is measured; with the slice it makes a series' base (all its statistics together).
MEASURE = ("topic", "signal", "attribute")


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one closed window: names as codes into ``values``, -1 where absent."""

    bucket: Ints
    codes: dict[str, Ints]
    values: dict[str, tuple[str, ...]]
    hashes: dict[str, Hashes]
    sketches: Sketches
    point_row: Ints
    point_time: Ints
    point_value: Floats

    def __len__(self) -> int:
        return len(self.sketches)


@dataclass(frozen=True, slots=True)
class Sliced:
    """Bases of a window's buckets.

    ``rows``: sketches keyed by the base's hash, sorted by (base, bucket); ``bucket``: its start, Unix ms; the
    name comes from a ``cell``, the set (``place``) it was sliced by, the ``level`` it was folded to, and its
    ``attribute``, a code into the cells' values.
    """

    rows: Sketches
    bucket: Ints
    cell: Ints
    place: Ints
    level: Ints
    attribute: Ints


def read_cells(table: Any, slicing: Slicing) -> Cells:
    """Cells of a table of `operators.cells.cell_schema`; keys are hashes of the full cell identity."""
    codes: dict[str, Ints] = {}
    values: dict[str, tuple[str, ...]] = {}
    hashes: dict[str, Hashes] = {}
    (batch,) = table.unify_dictionaries().combine_chunks().to_batches()
    for name in (*MEASURE, *cell_fields(slicing)):
        column = batch.column(name)
        values[name] = tuple(column.dictionary.to_pylist())
        codes[name] = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        # the absent value's hash, zero, stands last, where code -1 finds it
        hashes[name] = np.append(field_hashes(name, values[name]), np.uint64(0))[codes[name]]
    key = np.zeros(batch.num_rows, np.uint64)
    for column in hashes.values():
        key = key + column
    # cells of readings are told apart by their stream too
    stream = batch.column("stream").fill_null(0).to_numpy()
    key = key + mixed(stream.astype(np.uint64)) * (stream != 0)
    bin_row, (bins, bin_counts) = _lists(batch, "bins", "bin_counts")
    point_row, (times, readings) = _lists(batch, "point_times", "point_values")
    number = {
        name: batch.column(name).to_numpy(zero_copy_only=False) for name in ("count", "sum", "min", "max")
    }
    sketches = Sketches(
        key=key,
        count=number["count"],
        total=number["sum"],
        span=np.zeros(batch.num_rows, np.int64),
        low=number["min"].astype(np.float64),
        high=number["max"].astype(np.float64),
        bin_row=bin_row,
        bin=bins.astype(np.int64),
        bin_count=bin_counts.astype(np.int64),
    )
    bucket = batch.column("bucket").to_numpy()
    return Cells(bucket, codes, values, hashes, sketches, point_row, times.astype(np.int64), readings)


def _lists(batch: Any, *names: str) -> tuple[Ints, list[npt.NDArray[Any]]]:
    columns = [batch.column(name) for name in names]
    lengths = columns[0].value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.repeat(np.arange(len(lengths)), lengths), [column.flatten().to_numpy() for column in columns]


class Slicer:
    """Makes slices of cells, and remembers which slices each set keeps apart."""

    def __init__(self, slicing: Slicing) -> None:
        self.slicing = slicing
        self.fields = cell_fields(slicing)
        self.kept: list[tuple[set[int], set[int]]] = [(set(), set()) for _ in slicing.sets]
        self._other = {name: field_hashes(name, (OTHER,))[0] for name in self.fields}

    def slices(self, cells: Cells) -> Sliced:
        """Merge cells into the bases (topic, signal, attribute, slice) of each bucket."""
        measure = np.zeros(len(cells), np.uint64)
        for name in MEASURE:
            measure = measure + cells.hashes[name]
        seen: list[Hashes] = []
        rows, keys, sets, levels = [], [], [], []
        for place, names in enumerate(self.slicing.sets):
            row = self._fed(cells, names)
            key = np.zeros(len(cells), np.uint64)
            for name in names:
                key = key + cells.hashes[name]
            level, named = self._admit(place, names, cells, row, key)
            # a cell enters a slice once, however many sets lead there
            fresh = np.ones(len(row), bool)
            for earlier in seen:
                fresh &= earlier[row] != named
            whole = np.zeros(len(cells), np.uint64)
            whole[row] = named
            seen.append(whole)
            rows.append(row[fresh])
            keys.append(named[fresh])
            sets.append(np.full(int(fresh.sum()), place))
            levels.append(level[fresh])
        row = np.concatenate(rows)
        base, bucket = np.concatenate(keys) + measure[row], cells.bucket[row]
        order = np.lexsort((bucket, base))
        row, base, bucket = row[order], base[order], bucket[order]
        starts = runs(base, bucket)
        return Sliced(
            rows=collapse(replace(take(cells.sketches, row), key=base), starts),
            bucket=bucket[starts],
            cell=row[starts],
            place=np.concatenate(sets)[order][starts],
            level=np.concatenate(levels)[order][starts],
            attribute=cells.codes["attribute"][row[starts]],
        )

    def names(
        self, cells: Cells, sliced: Sliced, index: Ints
    ) -> tuple[dict[str, Ints], dict[str, tuple[str, ...]]]:
        """What the slices at ``index`` are called.

        Returns:
            By name its codes [n], -1 where absent, and the codes' values.
        """
        row, place, level = sliced.cell[index], sliced.place[index], sliced.level[index]
        codes: dict[str, Ints] = {name: cells.codes[name][row] for name in MEASURE}
        codes["attribute"] = sliced.attribute[index]
        values: dict[str, tuple[str, ...]] = {name: cells.values[name] for name in MEASURE}
        for name in self.fields:
            holds = np.fromiter((name in names for names in self.slicing.sets), bool, len(self.slicing.sets))
            code = np.where(holds[place], cells.codes[name][row], -1)
            from_level = 2 if name in LEFT_OUT else 1
            codes[name] = np.where((level >= from_level) & (code >= 0), len(cells.values[name]), code)
            values[name] = (*cells.values[name], OTHER)
        return codes, values

    def _fed(self, cells: Cells, names: Sequence[str]) -> Ints:
        needed = [name for name in names if name not in LEFT_OUT]
        fed = np.ones(len(cells), bool)
        for name in needed:
            fed &= cells.codes[name] >= 0
        if not needed:
            # a slice that names nobody is none
            fed = np.zeros(len(cells), bool)
            for name in names:
                fed |= cells.codes[name] >= 0
        return np.flatnonzero(fed)

    def _admit(
        self, place: int, names: Sequence[str], cells: Cells, row: Ints, key: Hashes
    ) -> tuple[Ints, Hashes]:
        """Each row's level (0 a slice of its own, 1 its extra fields ``other``, 2 all) and slice's hash."""
        named, weight = key[row], cells.sketches.count[row]
        level = np.where(_keep(self.kept[place][0], named, weight, self.slicing.cap), 0, 1)
        if not level.any():
            return level, named
        parent, extra, everything = (np.zeros(len(row), np.uint64) for _ in range(3))
        for name in names:
            other = np.where(cells.codes[name][row] >= 0, self._other[name], np.uint64(0))
            everything = everything + other
            if name in LEFT_OUT:
                parent = parent + cells.hashes[name][row]
            else:
                extra = extra + other
        spilt = np.flatnonzero(level)
        level[spilt] = 2
        if any(name not in LEFT_OUT for name in names):
            # parents of what is folded are bounded the same way
            level[spilt] -= _keep(self.kept[place][1], parent[spilt], weight[spilt], self.slicing.cap)
        return level, np.where(level == 0, named, np.where(level == 1, parent + extra, everything))

    def let_go(self, gone: Iterable[Slice]) -> None:
        """Make room where these slices were kept apart."""
        for slice_ in gone:
            parent, extra = (
                [pair for pair in slice_ if (pair[0] in LEFT_OUT) == left_out] for left_out in (True, False)
            )
            own, above = _hash(slice_), _hash(parent)
            folded = {name for name, value in extra} if all(value == OTHER for _, value in extra) else None
            for names, (kept, parents) in zip(self.slicing.sets, self.kept, strict=True):
                kept.discard(own)
                if folded == {name for name in names if name not in LEFT_OUT}:
                    parents.discard(above)

    def snapshot(self) -> list[list[list[int]]]:
        """The slices each set keeps apart, for the state codec."""
        return [[sorted(level) for level in kept] for kept in self.kept]

    def restore(self, kept: Sequence[Sequence[Sequence[int]]]) -> None:
        """Take over what `snapshot` gave."""
        self.kept = [(set(own), set(parents)) for own, parents in kept]


def _hash(slice_: Iterable[tuple[str, str]]) -> int:
    """A slice's hash: the sum of its fields'."""
    return sum(int(field_hashes(name, [value])[0]) for name, value in slice_) % 2**64


def _keep(kept: set[int], named: Hashes, weight: Ints, cap: int) -> npt.NDArray[np.bool_]:
    """Which rows' slices are kept apart; new ones are admitted heaviest first while there is room."""
    heads, inverse = np.unique(named, return_inverse=True)
    known = np.fromiter((head in kept for head in heads.tolist()), bool, len(heads))
    fresh = np.flatnonzero(~known)
    if len(fresh) and len(kept) < cap:
        heavy = np.bincount(inverse, weight, len(heads))[fresh]
        admitted = fresh[np.lexsort((heads[fresh], -heavy))][: cap - len(kept)]
        kept.update(heads[admitted].tolist())
        known[admitted] = True
    return known[inverse]
