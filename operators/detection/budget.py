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
    """At most one false alarm onset in ``windows`` windows of a row, and ``fdr`` false ones among the new.

    The rate a row is allowed is divided by (4 + own onsets) / (4 + onsets the budget grants so far), at
    least 1: a Gamma-Poisson estimate of how far the row's tail was misjudged. Across the rows of a tick an
    onset must also be a discovery: with more than ``fdr * windows`` rows a lone one needs more than its own
    budget asks, one of many that begin together does not.
    """

    def __init__(self, windows: float, fdr: float = 1.0) -> None:
        self.windows = windows
        self.fdr = fdr

    def factor(self, state: Rows) -> Floats:
        """What event rates are multiplied by, [n], at least 1."""
        expected = _PRIOR_EVENTS + state["n"] / self.windows
        return np.maximum((_PRIOR_EVENTS + state["own_events"]) / expected, 1.0)

    def decide(
        self, state: Rows, rate: Floats, active: NDArray[np.bool_], among: int = 1
    ) -> NDArray[np.bool_]:
        """Alarms of one window: ``rate`` [n] events a window against the budget; counts onsets.

        ``among``: rows judged at this tick, in whatever blocks.
        """
        claimed = rate * self.factor(state)
        alarm: NDArray[np.bool_] = active & (claimed * self.windows <= 1.0)
        fresh = alarm & (state["quiet"] > _MERGE)
        if among > self.fdr * self.windows and fresh.any():
            found = step_up(np.where(active & (state["quiet"] > _MERGE), claimed, 1.0), self.fdr, among)
            alarm, fresh = alarm & (found | ~fresh), fresh & found
        state["own_events"] += fresh
        state["quiet"][...] = np.where(alarm, 0.0, state["quiet"] + active)
        return alarm


def step_up(
    p_values: NDArray[np.floating[Any]], target: float, among: int | None = None
) -> NDArray[np.bool_]:
    """Series that are discoveries at false-discovery rate ``target`` (Benjamini-Hochberg, one tick).

    Valid under independence and positive dependence; p-values that are event rates a window are conservative.
    ``among``: hypotheses in all, where these are only some of them: then it is conservative.
    """
    count = len(p_values)
    if not count:
        return np.zeros(0, bool)
    ranked = np.sort(p_values)
    passed = np.flatnonzero(ranked <= target * np.arange(1, count + 1) / (among or count))
    return p_values <= (ranked[passed[-1]] if passed.size else -1.0)
