"""Metrics: each sample folds by its signal's kind and its temporality."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from operators.fold.bins import bin_of
from operators.fold.coding import Coded, Ints, coded
from operators.fold.histograms import attribute_of, spread
from operators.fold.parts import NO_BIN, Part, column, numbers, points, tallies, values
from schemas.signals import SIGNALS, Signal

#: Temporalities, and None for what does not say.
_MODES = ("gauge", "delta", "cumulative", None)
_GAUGE, _DELTA, _CUMULATIVE = range(3)
#: Kinds that count something, and their temporality by default; the others are always values.
_DEFAULT = {"count": "delta", "counter": "cumulative"}


def metric_parts(batch: Any) -> Iterator[Part]:
    """What accepted metric samples contribute; ``batch`` as in `schemas.chunk`."""
    signal = coded(batch.column("signal"))
    size = len(signal.codes)
    temporality = _words(batch, "temporality", size)
    attribute = _words(batch, "attribute", size)
    value = numbers(batch.column("value")) if column(batch, "value") is not None else np.full(size, np.nan)
    behind = column(batch, "sample_count")
    counted = np.full(size, np.nan) if behind is None else numbers(behind)
    counts = column(batch, "hist_counts")
    whole = np.zeros(size, bool) if counts is None else counts.is_valid().to_numpy(zero_copy_only=False)
    mode = np.array([_MODES.index(word) for word in (*temporality.values.to_pylist(), None)])[
        temporality.codes
    ]
    names = attribute.values.to_pylist()
    codes = np.isin(attribute.codes, [place for place, word in enumerate(names) if word == "xid"])
    for place, name in enumerate(signal.values.to_pylist()):
        mine = signal.codes == place
        if (mine & whole).any():
            yield from _histograms(name, batch, np.flatnonzero(mine & whole), mode)
        mine &= ~whole & ~np.isnan(value)
        default = _DEFAULT.get(SIGNALS[name].kind)
        if default is None:
            how = np.full(size, _GAUGE)
        else:
            how = np.where(mode == _MODES.index(None), _MODES.index(default), mode)
            if name == "hw.errors":  # XID codes are readings, whatever they are called: their change tells
                how[codes] = _CUMULATIVE
        for fold in np.unique(how[mine]).tolist():
            rows = np.flatnonzero(mine & (how == fold))
            yield _plain(SIGNALS[name], fold, rows, value, counted, attribute.codes[rows], names)


def _words(batch: Any, name: str, size: int) -> Coded:
    held = column(batch, name)
    return Coded(np.full(size, -1), pa.array([], pa.utf8())) if held is None else coded(held)


def _plain(
    signal: Signal, fold: int, row: Ints, value: Any, counted: Any, attribute: Ints, names: list[str]
) -> Part:
    """Samples of one signal that fold alike. An absent attribute is the whole signal."""
    labels, which = ("", *names), attribute + 1
    if fold == _CUMULATIVE:
        return points(signal.name, row, value[row], attributes=labels, attribute=which)
    if fold == _DELTA:
        return tallies(signal.name, row, total=value[row], attributes=labels, attribute=which)
    stands = counted[row] != 0.0  # what stands on no sample says nothing
    row, which = row[stands], which[stands]
    known = ~np.isnan(counted[row])
    weight = np.where(known, counted[row], 1.0).astype(np.int64)
    part = values(signal.name, row, value[row], attributes=labels, attribute=which, weight=weight)
    if signal.kind == "ratio":
        # a ratio of trials has hits, not a distribution
        return replace(part, value=np.where(known, np.nan, part.value))
    return part


def _histograms(name: str, batch: Any, row: Ints, mode: Ints) -> Iterator[Part]:
    index = pa.array(row)
    every_bounds = batch.column("hist_bounds").take(index).to_pylist()
    every_counts = batch.column("hist_counts").take(index).to_pylist()
    sums = column(batch, "hist_sum")
    every_sum = [None] * len(row) if sums is None else sums.take(index).to_pylist()
    deltas = []
    for sample, bounds, counts, total in zip(
        row.tolist(), every_bounds, every_counts, every_sum, strict=True
    ):
        edges = [-np.inf, *(bounds or ()), np.inf]
        if mode[sample] == _CUMULATIVE:
            labels = [attribute_of(*bucket) for bucket in pairwise(edges)]
            if bounds:  # one bucket of all tells nothing of its values
                yield points(
                    name,
                    np.full(len(counts), sample),
                    np.array(counts, np.float64),
                    attributes=labels,
                    attribute=np.arange(len(labels)),
                )
        elif sum(counts):
            deltas.append(_spread(sample, edges, counts, total))
    if deltas:
        row, count, totals, value, bins = (np.concatenate(each) for each in zip(*deltas, strict=True))
        which = np.zeros(len(row), np.int64)
        yield Part(name, ("",), which, row, count, totals, value, np.where(np.isnan(value), NO_BIN, bins))


def _spread(sample: int, edges: list[float], counts: list[int], total: float | None) -> tuple[Any, ...]:
    """One delta histogram as entries: sample, counts, totals, values for min and max, bins.

    A sum that was not told is taken at the buckets' middles, an open end at its bound. Without any bound all
    values are the mean, where it is known.
    """
    size = sum(counts)
    if len(edges) == 2:
        mean = np.nan if total is None else total / size
        at = np.zeros(1, np.int64) if total is None else bin_of(np.array([mean]))
        return np.array([sample]), np.array([size]), np.array([total or 0.0]), np.array([mean]), at
    found = [
        (
            max(lower, 0.0),
            max(lower, 0.0) if np.isinf(upper) else max(upper, 0.0),
            count,
            *spread(lower, upper, count),
        )
        for (lower, upper), count in zip(pairwise(edges), counts, strict=True)
        if count > 0
    ]
    bins, held = np.concatenate([each[3] for each in found]), np.concatenate([each[4] for each in found])
    totals, value = np.zeros(len(bins)), np.full(len(bins), found[0][1])
    middle = sum(count * (low + high) / 2.0 for low, high, count, _, _ in found)
    totals[0] = middle if total is None else total
    value[0], value[-1] = found[0][0] if len(bins) > 1 else found[0][1], found[-1][1]
    return np.full(len(bins), sample), held, totals, value, bins
