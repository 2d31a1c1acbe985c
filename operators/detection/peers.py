"""How far a row is from its peers at the same window: its siblings, or the rest of what it is a part of.

What moves all of them alike (load, time of day, a change made everywhere) is no difference, so a small move
of one of them shows. Siblings are the parts of one whole by the same fields (the replicas of a version, its
regions): a row is compared with the median of the others where at least three have a value. With fewer, a
part is compared with the rest of its whole. Hits of trials are compared by what chance explains, counts and
durations by ratio, all else by difference; how far a row usually is from its peers, it learns itself.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from operators.detection.verdicts import WindowValues
from operators.detectors.beside import CONTRAST, SIBLINGS
from operators.detectors.channel import Floats
from operators.series import SeriesKey

#: Fields that every slice is about; the others make it a part of the slice without them.
WHOLE = ("service", "request_model", "service_version")
#: Siblings besides itself that a row is compared with, at least.
_LEAST = 3
#: Kinds compared by ratio, and statistics of which the rest of a whole can be told.
_RATIOS = ("count", "counter", "duration")
_ADDITIVE = ("mean", "ratio", "share")


class Peers:
    """Who is compared with whom, by row; grows with the bank."""

    def __init__(self) -> None:
        self._groups: dict[object, int] = {}
        self._wholes: dict[object, int] = {}
        self._lines: list[tuple[int, int, bool, bool]] = []
        self._table = np.zeros((0, 4), np.int64)
        self._any = False

    def add(self, keys: Iterable[SeriesKey]) -> None:
        """Take in the next rows."""
        for key in keys:
            own = (key.topic, key.signal, key.statistic, key.side)
            whole = (*own, tuple(pair for pair in key.slice if pair[0] in WHOLE))
            names = tuple(name for name, _ in key.slice if name not in WHOLE)
            about = self._wholes.setdefault(whole, len(self._wholes))
            group = self._groups.setdefault((whole, names), len(self._groups)) if names else -1
            self._lines.append((group, about, key.kind in _RATIOS, key.statistic in _ADDITIVE))
            self._any = self._any or bool(names)

    def differences(self, rows: NDArray[np.int64], window: WindowValues) -> Floats | None:
        """[2, n] from siblings and from the rest of the whole, NaN where not compared; None where nowhere."""
        if not self._any:
            return None
        if len(self._table) < len(self._lines):
            self._table = np.array(self._lines, np.int64)
        group, about, by_ratio, additive = self._table[rows].T
        out = np.full((2, len(rows)), np.nan)
        given = np.isfinite(window.value)
        some = np.flatnonzero(given & (group >= 0))
        out[SIBLINGS, some] = _apart(window, some, by_ratio[some], *_siblings(window, group[some], some))
        wholes = np.flatnonzero(given & (group < 0))
        some = some[np.isnan(out[SIBLINGS, some])]
        at = np.full(len(self._wholes), -1)
        at[about[wholes]] = wholes
        some = some[at[about[some]] >= 0]
        rest = _rest(window, some, at[about[some]], additive[some] > 0)
        out[CONTRAST, some] = _apart(window, some, by_ratio[some], *rest)
        return out


def _siblings(
    window: WindowValues, group: NDArray[np.int64], some: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Median of the others of its group, NaN where they are too few; and the trials behind it."""
    value = window.value[some]
    order = np.lexsort((value, group))
    ranked, kind = value[order], group[order]
    begins = np.flatnonzero(np.r_[True, kind[1:] != kind[:-1]])[: len(kind)]
    sizes = np.diff(np.r_[begins, len(kind)])
    first, others = np.repeat(begins, sizes), np.repeat(sizes, sizes) - 1
    rank = np.arange(len(kind)) - first
    low, high = np.maximum(others - 1, 0) // 2, others // 2
    middle = [ranked[first + np.minimum(at + (at >= rank), others)] for at in (low, high)]
    out = np.full(len(some), np.nan)
    out[order] = np.where(others >= _LEAST, (middle[0] + middle[1]) / 2, np.nan)
    return out, np.full(len(some), np.inf)


def _rest(
    window: WindowValues, some: NDArray[np.int64], whole: NDArray[np.int64], additive: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Value of the whole without the part where it can be told, else of the whole; and trials behind it.

    A part that is more than half of its whole is not compared: what differs then is the other one.
    """
    part, both = np.nan_to_num(window.samples[some]), np.nan_to_num(window.samples[whole])
    left, value = both - part, window.value[whole]
    told = additive & (part > 0) & (left > 0)
    without = (both * value - part * window.value[some]) / np.where(told, left, 1.0)
    reference = np.where(told, without, np.where(np.isnan(window.hits[some]), value, np.nan))
    return np.where(2 * part > both, np.nan, reference), left


def _apart(
    window: WindowValues,
    some: NDArray[np.int64],
    by_ratio: NDArray[np.int64],
    reference: Floats,
    trials: Floats,
) -> Floats:
    """Differences of ``some`` from their ``reference``, which stands on ``trials`` where hits are known."""
    value, samples = window.value[some], window.samples[some]
    with np.errstate(over="ignore"):
        ratio = value / np.where(reference > 0, reference, np.nan)
    plain = np.where(by_ratio > 0, ratio, value - reference)
    known = ~np.isnan(window.hits[some])
    if not known.any():
        return plain
    tried = np.where(known, np.maximum(samples, 1.0), 1.0)
    p = np.minimum(np.maximum(reference, 0.0), 1.0)
    chance = p * (1 - p) * (1 / tried + 1 / np.maximum(trials, 1.0)) + 0.25 / tried**2
    return np.where(known, (value - reference) / np.sqrt(chance), plain)
