"""Matched differences: the same stratum of traffic, at the same time, served by both sides.

What moves both sides at once (load, time of day, a slow network) and what differs only in how much of which
traffic each got cancels in such a difference. Minutes are joined to blocks until a block stands on enough
samples, by a rule that looks at nothing later, so that looking again after every block stays valid.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from operators.shard.sketches import Floats, Ints, collapse, runs, take
from operators.shard.statistics import LEAST, Form, compute, measure
from pipelines.compare.traffic import Rows

#: Samples that each side has in a block, and the least length of one: neighbours in time are alike.
BLOCK_SAMPLES = 400
BLOCK_MS = 300_000

#: Statistics that are compared, where their signal has them; rates tell how traffic was dealt out.
_NOT_COMPARED = frozenset({"rate", "p99", "received"})


class Statistic(NamedTuple):
    """What is compared: one statistic of a signal of a topic."""

    topic: str
    signal: str
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Differences:
    """One statistic over K blocks: its matched levels, [K] each, and what they stand on.

    ``baseline``, ``candidate``: means over strata with the same weights on both sides. ``samples`` [2]: of
    each side, in matched blocks. ``end_ms`` [K]: end of each block.
    """

    statistic: Statistic
    baseline: Floats
    candidate: Floats
    samples: tuple[int, int]
    end_ms: Ints

    def until(self, end_ms: int) -> "Differences":
        """What was known when the block ended that ends at ``end_ms`` (Unix ms)."""
        known = self.end_ms <= end_ms
        return replace(
            self, baseline=self.baseline[known], candidate=self.candidate[known], end_ms=self.end_ms[known]
        )


def differences(rows: Rows) -> list[Differences]:
    """Matched differences of every statistic of a signal."""
    whole = _whole(rows)
    block, ends = _blocks(rows, whole)
    if not len(ends):
        return []
    found = []
    for attribute in np.unique(rows.attribute):
        measured = measure(rows.topic, rows.signal, str(attribute))
        if measured.form in (Form.NONE, Form.RATE, Form.RECEIVED):
            continue
        values = _values(rows, block, rows.attribute == attribute, whole, measured.form)
        for slot, name in enumerate(measured.statistics):
            if name.partition(":")[0] in _NOT_COMPARED:
                continue
            statistic = Statistic(rows.topic, rows.signal, name, measured.unit)
            found.append(_matched(statistic, values, slot, LEAST.get(name, 1), ends))
    return [difference for difference in found if len(difference.baseline)]


class _Levels(NamedTuple):
    """Of n (block, stratum, side): its place, its statistics [n, slots], and its samples [n]."""

    block: Ints
    stratum: Ints
    side: Ints
    value: Floats
    samples: Floats


def _whole(rows: Rows) -> npt.NDArray[np.bool_]:
    """Rows of the whole signal; of one that has only attributes, all."""
    whole: npt.NDArray[np.bool_] = rows.attribute == ""
    return whole if whole.any() else np.ones(len(rows.start), bool)


def _blocks(rows: Rows, whole: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """[n] block of each row, -1 for what is not matched or not yet enough; end of each block, Unix ms."""
    cell = rows.start * len(rows.strata) + rows.stratum
    both = np.intersect1d(cell[whole & (rows.side == 0)], cell[whole & (rows.side == 1)])
    matched = np.isin(cell, both)
    minutes, place = np.unique(rows.start[matched], return_inverse=True)
    samples = np.zeros((2, len(minutes)), np.int64)
    counted = whole[matched]
    np.add.at(samples, (rows.side[matched][counted], place[counted]), rows.sketches.count[matched][counted])
    block_of, held = np.full(len(minutes), -1, np.int64), np.zeros(2, np.int64)
    ends: list[int] = []
    first = 0
    for index, minute in enumerate(minutes):
        held += samples[:, index]
        if held.min() >= BLOCK_SAMPLES and minute - minutes[first] >= BLOCK_MS:
            block_of[first : index + 1] = len(ends)
            ends.append(int(minute))
            first, held = index + 1, np.zeros(2, np.int64)
    block = np.full(len(rows.start), -1, np.int64)
    block[matched] = block_of[place]
    return block, np.array(ends, np.int64)


def _values(
    rows: Rows, block: Ints, some: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_], form: Form
) -> _Levels:
    group = (block * len(rows.strata) + rows.stratum) * 2 + rows.side
    index = np.flatnonzero(some & (block >= 0))
    order = index[np.argsort(group[index], kind="stable")]
    starts = runs(group[order])
    merged = collapse(take(rows.sketches, order), starts)
    groups = group[order][starts]
    trials = merged.count.astype(np.float64)
    if form in (Form.SHARE, Form.PORTION, Form.COMPLETED):
        part = np.flatnonzero(whole & (block >= 0))
        counts = np.bincount(group[part], rows.sketches.count[part], minlength=int(groups.max(initial=0)) + 1)
        trials = counts[groups]
    step = np.full(len(merged), rows.step)
    computed = compute(merged, np.full(len(merged), int(form)), step, trials, 1.0)
    side, place = groups % 2, groups // 2
    return _Levels(
        place // len(rows.strata), place % len(rows.strata), side, computed.value, computed.samples
    )


def _matched(statistic: Statistic, levels: _Levels, slot: int, least: int, ends: Ints) -> Differences:
    """Weighs each stratum of a block by what its pair says: n m / (n + m), the same on both sides."""
    shape = (2, len(ends), int(levels.stratum.max(initial=0)) + 1)
    value, samples = np.full(shape, np.nan), np.zeros(shape)
    at = (levels.side, levels.block, levels.stratum)
    value[at], samples[at] = levels.value[:, slot], levels.samples[:, slot]
    paired = ~np.isnan(value).any(0) & (samples >= least).all(0)
    with np.errstate(invalid="ignore"):
        weight = np.where(paired, samples.prod(0) / samples.sum(0), 0.0)
        means = (np.where(paired, value, 0.0) * weight).sum(2) / weight.sum(1)
    known = weight.sum(1) > 0
    held = (samples * paired).sum((1, 2))
    return Differences(statistic, means[0][known], means[1][known], (int(held[0]), int(held[1])), ends[known])
