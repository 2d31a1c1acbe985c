"""The CUSUM that is told all: null, memory and change; its threshold gives a stated rate of false alarms.

It adds up log-likelihood ratios of the change against the null, never below zero (Page 1954), which no rule
betters by much at the same mean time between false alarms (Lorden 1971, Moustakides 1986). How often it
raises is counted on simulated nulls: excursions from zero that reach the threshold, a window.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ratios = Callable[[NDArray[Any]], NDArray[Any]]

_LANES, _WINDOWS = 4000, 6000


def threshold(null: NDArray[Any], rate: float) -> float:
    """The threshold whose false alarms come ``rate`` times a window on ratios [windows, lanes] of a null."""
    total, peak = np.zeros(null.shape[1]), np.zeros(null.shape[1])
    peaks = []
    for row in null:
        total += row
        over = total <= 0
        peaks.append(peak[over & (peak > 0)])
        np.maximum(total, 0, out=total)
        peak = np.where(over, 0, np.maximum(peak, total))
    ranked = np.sort(np.concatenate(peaks))[::-1]
    return float(ranked[min(int(rate * null.size), len(ranked) - 1)])


def delays(ratios: NDArray[Any], limit: float, onset: int) -> NDArray[Any]:
    """Windows from ``onset`` to its alarm on each stream of ratios [windows, streams]; inf where none."""
    total = np.zeros(ratios.shape[1])
    out = np.full(ratios.shape[1], np.inf)
    for t, row in enumerate(ratios):
        total = np.maximum(total + row, 0)
        if t < onset:
            total = np.where(total > limit, 0.0, total)
        else:
            out = np.where((total > limit) & np.isinf(out), t - onset + 1, out)
    return out


def normal_null(rng: np.random.Generator) -> NDArray[Any]:
    """White standard normal windows to set thresholds on."""
    return rng.normal(size=(_WINDOWS, _LANES)).astype("f4")


def shift(size: float) -> Ratios:
    """A white normal moves by ``size``."""
    return lambda white: size * white - size * size / 2


def spread(factor: float) -> Ratios:
    """A white normal's variance is multiplied by ``factor``."""
    return lambda white: 0.5 * (1 - 1 / factor) * white**2 - 0.5 * np.log(factor)


def ratio(before: float, after: float, trials: float) -> Ratios:
    """Hits of ``trials`` go from probability ``before`` to ``after``."""
    gain, loss = np.log(after / before), np.log((1 - after) / (1 - before))
    return lambda hits: hits * gain + (trials - hits) * loss
