"""Cumulative readings to increments, per full cell identity, and XID codes to occurrences.

A counter is read before slicing: the sum of two GPUs' counters falls when one restarts, each one alone does
not.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.fold.histograms import bounds_of, spread
from operators.shard.hashing import field_hashes
from operators.shard.sketches import Floats, Hashes, Ints
from operators.shard.slices import Cells
from schemas.signals import SIGNALS

#: A reading older than this is no predecessor: what happened in between is not known (ms).
STALE_MS = 3_600_000


class Counters:
    """The last reading of every counter, sorted by the hash of its cell identity."""

    def __init__(self) -> None:
        self.key: Hashes = np.zeros(0, np.uint64)
        self.time: Ints = np.zeros(0, np.int64)
        self.value: Floats = np.zeros(0)

    def apply(self, cells: Cells) -> Cells:
        """Cells with their readings turned into increments.

        ``count`` becomes the readings that have a predecessor, ``total`` the increments in the signal's step,
        ``span`` the ms between them. A reading below its predecessor is a reset: its own value is the
        increment. A non-zero XID other than the previous one is an occurrence. First readings give none.
        """
        if not len(cells.point_row):
            return cells
        rows = cells.sketches
        # cells of one identity may stand in several rows: one reading per identity and time, the highest
        order = np.lexsort((cells.point_value, cells.point_time, rows.key[cells.point_row]))
        row, time, value = (part[order] for part in (cells.point_row, cells.point_time, cells.point_value))
        key = rows.key[row]
        last = np.r_[(key[1:] != key[:-1]) | (time[1:] != time[:-1]), True]
        row, time, value, key = row[last], time[last], value[last], key[last]

        first = np.r_[True, key[1:] != key[:-1]]
        earlier, former = np.r_[0, time[:-1]], np.r_[0.0, value[:-1]]
        earlier[first], former[first] = self._previous(key[first])
        span = time - earlier
        rise = np.where(value >= former, value - former, value)
        rise = np.where(_is_xid(cells)[row], (value != 0) & (value != former), rise)
        rise = np.rint(rise / _steps(cells)[row]).astype(np.int64)
        counted = (span > 0) & (span <= STALE_MS)
        self._remember(key, np.asarray(time, np.int64), np.asarray(value, np.float64))

        read = np.zeros(len(rows), bool)
        read[cells.point_row] = True
        count, total, spent = (np.where(read, 0, part) for part in (rows.count, rows.total, rows.span))
        np.add.at(count, row[counted], 1)
        np.add.at(total, row[counted], rise[counted])
        np.add.at(spent, row[counted], span[counted])
        counted_cells = replace(cells, sketches=replace(rows, count=count, total=total, span=spent))
        return _histograms(counted_cells)

    def _previous(self, key: Hashes) -> tuple[Ints, Floats]:
        """Time and value of the last reading of each key; a time long past where there is none."""
        never = np.int64(-(2**62))
        if not len(self.key):
            return np.full(len(key), never), np.zeros(len(key))
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        known = self.key[place] == key
        return np.where(known, self.time[place], never), np.where(known, self.value[place], 0.0)

    def _remember(self, key: Hashes, time: Ints, value: Floats) -> None:
        keys = np.concatenate([self.key, key])
        times, values = np.concatenate([self.time, time]), np.concatenate([self.value, value])
        order = np.lexsort((values, times, keys))
        keys, times, values = keys[order], times[order], values[order]
        newest = np.r_[keys[1:] != keys[:-1], True]
        newest &= times > (times.max() - STALE_MS)
        self.key, self.time, self.value = keys[newest], times[newest], values[newest]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name, for the state codec."""
        return {"key": self.key, "time": self.time, "value": self.value}

    def load(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take over what `arrays` gave."""
        self.key, self.time, self.value = arrays["key"], arrays["time"], arrays["value"]


def _is_xid(cells: Cells) -> npt.NDArray[np.bool_]:
    signal = np.array([*(name == "hw.errors" for name in cells.values["signal"]), False])
    attribute = np.array([*(name == "xid" for name in cells.values["attribute"]), False])
    found: npt.NDArray[np.bool_] = signal[cells.codes["signal"]] & attribute[cells.codes["attribute"]]
    return found


def _histograms(cells: Cells) -> Cells:
    """Differenced histogram buckets as parts of their signal's log histogram."""
    bounds = [bounds_of(name) for name in cells.values["attribute"]]
    rows = np.flatnonzero(np.array([*(b is not None for b in bounds), False])[cells.codes["attribute"]])
    if not len(rows):
        return cells
    held, step = cells.sketches, _steps(cells)
    count, total, span = held.count.copy(), held.total.copy(), held.span.copy()
    entries: list[tuple[int, Ints, Ints]] = []
    for row in rows.tolist():
        lower, upper = bounds[cells.codes["attribute"][row]] or (0.0, 0.0)
        samples = int(total[row] * step[row] + 0.5)
        entries.append((row, *spread(lower, upper, samples)))
        low = max(lower, 0.0)
        middle = low if np.isinf(upper) else (low + max(upper, 0.0)) / 2.0
        count[row], total[row], span[row] = samples, round(samples * middle / step[row]), 0
    bin_row = np.concatenate([held.bin_row, *(np.full(len(bins), row) for row, bins, _ in entries)])
    bins = np.concatenate([held.bin, *(bins for _, bins, _ in entries)])
    bin_count = np.concatenate([held.bin_count, *(counts for _, _, counts in entries)])
    order = np.lexsort((bins, bin_row))
    sketches = replace(
        held,
        count=count,
        total=total,
        span=span,
        bin_row=bin_row[order],
        bin=bins[order],
        bin_count=bin_count[order],
    )
    names = (*cells.values["attribute"], "")
    codes, hashes = cells.codes["attribute"].copy(), cells.hashes["attribute"].copy()
    codes[rows], hashes[rows] = len(names) - 1, field_hashes("attribute", [""])[0]
    return replace(
        cells,
        codes=cells.codes | {"attribute": codes},
        values=cells.values | {"attribute": names},
        hashes=cells.hashes | {"attribute": hashes},
        sketches=sketches,
    )


def _steps(cells: Cells) -> Floats:
    steps = [SIGNALS[name].step if name in SIGNALS else 1e-6 for name in cells.values["signal"]]
    return np.array([*steps, 1.0])[cells.codes["signal"]]
