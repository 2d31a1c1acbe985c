"""The alarm budget: which event rates are alarms, for a series over time and across series at a tick."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import Floats

#: ``own_events``: alarm onsets of this row; ``quiet``: windows since it last alarmed.
FIELDS = (Field("own_events"), Field("quiet", start=1e9))

#: Alarms closer than this many windows are one event.
_MERGE = 16.0
_PRIOR_EVENTS = 4.0


class Budget:
    """At most one false alarm onset in ``windows`` windows of a row.

    The rate a row is allowed is divided by (4 + own onsets) / (4 + onsets the budget grants so far), at
    least 1: a Gamma-Poisson estimate of how far the row's tail was misjudged.
    """

    def __init__(self, windows: float) -> None:
        self.windows = windows

    def factor(self, state: Rows) -> Floats:
        """What event rates are multiplied by, [n], at least 1."""
        expected = _PRIOR_EVENTS + state["n"] / self.windows
        return np.maximum((_PRIOR_EVENTS + state["own_events"]) / expected, 1.0)

    def decide(self, state: Rows, rate: Floats, active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Alarms of one window: ``rate`` [n] events a window against the budget; counts onsets."""
        alarm: NDArray[np.bool_] = active & (rate * self.factor(state) * self.windows <= 1.0)
        state["own_events"] += alarm & (state["quiet"] > _MERGE)
        state["quiet"][...] = np.where(alarm, 0.0, state["quiet"] + active)
        return alarm


def step_up(p_values: NDArray[np.floating[Any]], target: float) -> NDArray[np.bool_]:
    """Series that are discoveries at false-discovery rate ``target`` (Benjamini-Hochberg, one tick).

    Valid under independence and positive dependence; p-values that are event rates a window are conservative.
    """
    count = len(p_values)
    if not count:
        return np.zeros(0, bool)
    ranked = np.sort(p_values)
    passed = np.flatnonzero(ranked <= target * np.arange(1, count + 1) / count)
    return p_values <= (ranked[passed[-1]] if passed.size else -1.0)
