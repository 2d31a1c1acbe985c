"""Metrics: each sample folds by its signal's kind and its temporality (DESIGN 3)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from operators.fold.coding import Coded, Ints, coded
from operators.fold.histograms import attribute_of, spread
from operators.fold.parts import Part, column, numbers, points, tallies, values
from schemas.signals import SIGNALS, Signal

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
    told = temporality.values.to_pylist()
    names = attribute.values.to_pylist()
    for place, name in enumerate(signal.values.to_pylist()):
        mine = signal.codes == place
        if (mine & whole).any():
            yield from _histograms(name, batch, np.flatnonzero(mine & whole), temporality)
        kind = SIGNALS[name].kind
        modes = np.array([told.index(mode) if mode in told else -2 for mode in ("delta", "cumulative")])
        default = _DEFAULT.get(kind, "gauge")
        additive = kind in _DEFAULT
        delta = (temporality.codes == modes[0]) | ((temporality.codes < 0) & (default == "delta"))
        running = (temporality.codes == modes[1]) | ((temporality.codes < 0) & (default == "cumulative"))
        mine &= ~whole & ~np.isnan(value)
        for rows, fold in (
            (np.flatnonzero(mine & running & additive), "points"),
            (np.flatnonzero(mine & delta & additive), "delta"),
            (np.flatnonzero(mine & ~(additive & (running | delta))), "gauge"),
        ):
            if len(rows):
                yield _plain(SIGNALS[name], fold, rows, value, counted, attribute.codes[rows], names)


def _words(batch: Any, name: str, size: int) -> Coded:
    held = column(batch, name)
    return Coded(np.full(size, -1), pa.array([], pa.utf8())) if held is None else coded(held)


def _plain(
    signal: Signal, fold: str, row: Ints, value: Any, counted: Any, attribute: Ints, names: list[str]
) -> Part:
    """Samples of one signal that fold alike. An absent attribute is the whole signal."""
    labels, which = ("", *names), attribute + 1
    if fold == "points":
        return points(signal.name, row, value[row], attributes=labels, attribute=which)
    if fold == "delta":
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


def _histograms(name: str, batch: Any, row: Ints, temporality: Coded) -> Iterator[Part]:
    told = temporality.values.to_pylist()
    index = pa.array(row)
    every_bounds = batch.column("hist_bounds").take(index).to_pylist()
    every_counts = batch.column("hist_counts").take(index).to_pylist()
    deltas = []
    for sample, bounds, counts in zip(row.tolist(), every_bounds, every_counts, strict=True):
        edges = [-np.inf, *(bounds or ()), np.inf]
        buckets = list(zip(edges[:-1], edges[1:], counts, strict=True))
        code = temporality.codes[sample]
        if code >= 0 and told[code] == "cumulative":
            labels = [attribute_of(lower, upper) for lower, upper, _ in buckets]
            held = np.full(len(counts), sample)
            yield points(
                name, held, np.array(counts, np.float64), attributes=labels, attribute=np.arange(len(labels))
            )
        else:
            deltas += [(sample, *bucket) for bucket in buckets if bucket[2] > 0]
    if deltas:
        yield _spread_all(name, deltas)


def _spread_all(name: str, buckets: list[tuple[int, float, float, int]]) -> Part:
    """Buckets of delta histograms: each sum is taken at the bucket's middle, an open end at its bound."""
    row, total, value, bins, counts = [], [], [], [], []
    for sample, lower, upper, count in buckets:
        low = max(lower, 0.0)
        high = low if np.isinf(upper) else max(upper, 0.0)
        found, held = spread(lower, upper, int(count))
        row.append(np.full(len(found), sample))
        total.append(np.array([count * (low + high) / 2.0, *[0.0] * (len(found) - 1)]))
        value.append(np.linspace(low, high, len(found)) if len(found) > 1 else np.array([high]))
        bins.append(found)
        counts.append(held)
    return Part(
        name,
        ("",),
        np.zeros(sum(map(len, row)), np.int64),
        np.concatenate(row),
        np.concatenate(counts),
        np.concatenate(total),
        np.concatenate(value),
        np.concatenate(bins),
    )
