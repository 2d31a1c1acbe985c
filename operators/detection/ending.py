"""When an anomaly is over, and what is learnt while it lasts: nothing, until it is the new normal."""

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import Floats, Window

#: Event rate below which nothing is learnt; windows, and hours, after which a change is the new normal:
#: an incident of an hour or two, seen every minute, is not.
_FREEZE, _ACCEPT, _ACCEPT_H = 1 / 3000.0, 72.0, 4.0
#: A row is quiet while its last four windows are off by less than this (deviations), or, after a mean of
#: sixteen that was `_GREAT` deviations off, by less than `_QUIET_AFTER`: it need not come back to the very
#: level. So many quiet windows end an anomaly.
#: It is great, too, once four windows on average were `_AWAY` deviations from level and season. Then a value
#: within `_HOME` deviations of those is quiet whatever was predicted: the predictor followed the anomaly.
_QUIET, _GREAT, _QUIET_AFTER, _CALM = 1.2, 2.0, 2.0, 8.0
_AWAY, _HOME = 3.0, 2.5

#: ``frozen``: windows for which nothing was learnt, of late; ``calm``: quiet windows in a row; ``worst``: the
#: farthest that averages were off in this anomaly, `_GREAT` or more if it is great.
FIELDS = (Field("frozen"), Field("calm"), Field("worst"))


def patience(period_s: float) -> float:
    """Windows of ``period_s`` after which a change is the new normal."""
    return max(_ACCEPT, _ACCEPT_H * 3600 / period_s)


def over(state: Rows, window: Window) -> NDArray[np.int64]:
    """Rows (indices into the block) whose anomaly ends with this window."""
    frozen, calm, worst = state["frozen"], state["calm"], state["worst"]
    away = _GREAT * np.abs(state["mean4"] - state["level"]) / (_AWAY * window.base)
    away = np.maximum(away, window.scratch.get("slow", 0.0))
    worst[...] = np.where(frozen > 0, np.maximum(worst, away), 0.0)
    great = worst > _GREAT
    quiet = window.scratch.get("fast", np.abs(window.z)) < np.where(great, _QUIET_AFTER, _QUIET)
    quiet |= great & (np.abs(window.deviation) < _HOME * window.sd)
    if "busy" in window.scratch:
        quiet &= window.scratch["busy"] == 0
    calm[...] = np.where(quiet, calm + window.active, 0)
    ended = np.flatnonzero((calm >= _CALM) & (frozen > 0))
    frozen[ended] = 0
    return ended


def freeze(
    state: Rows, window: Window, rate: Floats, patience: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows are too odd at event ``rate`` [n] to be learnt from, and which were for all ``patience``."""
    frozen = state["frozen"]
    hot: NDArray[np.bool_] = window.active & (rate < _FREEZE)
    frozen[...] = np.where(hot, frozen + 1, np.maximum(frozen - 2, 0))
    accepted = (frozen > patience) & (state["calm"] < _CALM / 2)  # not while it is coming back by itself
    return hot, accepted
