"""The alarm budget: which event rates are alarms, for a series over time and across the series of a fleet."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import Floats

#: ``own_events``: alarm onsets of this row; ``quiet``, ``since``: windows since it last claimed to be within
#: its own budget, and since that claim began; ``told``: whether that claim is an alarm.
FIELDS = (Field("own_events"), Field("quiet", start=1e9), Field("since", start=1e9), Field("told", dtype="?"))

#: Claims closer than this many windows are one event.
_MERGE = 16.0
_PRIOR_EVENTS = 4.0
#: Windows over which the false onsets of a fleet are held against what was found in them.
PATIENCE = 10.0


class Budget:
    """At most one false alarm onset in ``windows`` windows of a row, and ``fdr`` false ones among the new.

    The rate a row is allowed is divided by (4 + own onsets) / (4 + onsets the budget grants so far), at
    least 1: a Gamma-Poisson estimate of how far the row's tail was misjudged. With more than
    ``fdr * windows`` rows a claim within a row's own budget must also be a discovery: of n rows that are
    granted a rate, n times that rate times `PATIENCE` begin to claim it within `PATIENCE` windows by chance,
    and that may be ``fdr`` of all onsets in these windows. So a lone one needs more than its own budget
    asks, one of many that begin within a few windows of each other does not.
    """

    def __init__(self, windows: float, fdr: float = 1.0) -> None:
        self.windows = windows
        self.fdr = fdr

    def factor(self, state: Rows) -> Floats:
        """What event rates are multiplied by, [n], at least 1."""
        expected = _PRIOR_EVENTS + state["n"] / self.windows
        return np.maximum((_PRIOR_EVENTS + state["own_events"]) / expected, 1.0)

    def across(self, rows: int) -> bool:
        """Whether so many rows are a fleet: then `discoveries` decides which claims are alarms."""
        return rows > self.fdr * self.windows

    def decide(
        self, state: Rows, rate: Floats, active: NDArray[np.bool_], *, claims: bool = False
    ) -> NDArray[np.bool_]:
        """Alarms of one window: ``rate`` [n] events a window against the rows' own budgets; counts onsets.

        With ``claims`` they are only claimed, for `discoveries` to decide.
        """
        claim: NDArray[np.bool_] = active & (rate * self.factor(state) * self.windows <= 1.0)
        quiet, since, told = state["quiet"], state["since"], state["told"]
        begins = claim & (quiet > _MERGE)
        since[...] = np.where(begins, 0.0, since + active)
        quiet[...] = np.where(claim, 0.0, quiet + active)
        told &= ~begins
        if not claims:
            state["own_events"] += claim & ~told
            told |= claim
        return claim

    def discoveries(
        self, state: Rows, rows: NDArray[np.int64], rate: Floats, claim: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Alarms among the claims of all rows judged at a tick, [len(rows)]; counts onsets.

        A claim that began within `PATIENCE` windows is weighed with the others that did, told or new; one
        that stands for longer, and was not told, as if it were alone.

        Args:
            state: of the fleet.
            rows: of the fleet that were judged.
            rate: their event rates a window.
            claim: what `decide` gave of them.
        """
        told = state["told"][rows]
        recent = state["since"][rows] < PATIENCE
        new = np.flatnonzero(claim & ~told)
        if new.size:
            own = {name: state[name][rows[new]] for name in ("n", "own_events")}
            within = rate[new] * self.factor(own) * PATIENCE
            found = within * len(rows) <= self.fdr
            beside = int(np.count_nonzero(told & recent))
            late = recent[new]
            found[late] = step_up(within[late], self.fdr, len(rows), beside)
            onset = rows[new[found]]
            state["told"][onset] = True
            state["own_events"][onset] += 1
            told[new[found]] = True
        alarm: NDArray[np.bool_] = claim & told
        return alarm


def step_up(
    p_values: NDArray[np.floating[Any]], target: float, among: int | None = None, found: int = 0
) -> NDArray[np.bool_]:
    """Series that are discoveries at false-discovery rate ``target`` (Benjamini-Hochberg).

    Valid under independence and positive dependence; p-values that are event rates are conservative.

    Args:
        p_values: [n].
        target: false ones among the discoveries.
        among: hypotheses in all, where these are only some of them.
        found: discoveries made already among the others.
    """
    count = len(p_values)
    if not count:
        return np.zeros(0, bool)
    ranked = np.sort(p_values)
    passed = np.flatnonzero(ranked <= target * (found + np.arange(1, count + 1)) / (among or count))
    return p_values <= (ranked[passed[-1]] if passed.size else -1.0)
