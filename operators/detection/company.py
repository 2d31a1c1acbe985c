"""Whether an odd value is one of several: what stands alone is believed less.

Anomalies last; what a heavy tail throws up stands alone, and in a short history the two cannot be told apart
by size. So a lone value that stands on few samples, or on who knows how many, claims about half, in logs, of
what its tail says: it must be rarer by far to alarm at once. If another odd window follows within three, both
together claim what the first did, and the alarm that was held back is raised. Two in a row on one side, where
the row has hardly been before, claim as much as chance would have to do twice.

A value as far from level and season as those of the last windows is no spike at all, whatever had been
predicted. Season counts: the last windows of an hourly series are a day, whose values are those of any hour.
"""

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detection.baseline import WARM_UP
from operators.detectors.channel import Floats, Window

#: Windows within which a second odd one must follow, and the event rate that makes it odd.
_NEAR, _ODD = 3.0, 0.01
#: Share of its claim, in logs, that a lone value loses.
_ALONE = 0.45
#: Windows without alarm after which a claim is one that was held back.
_HELD_BACK = 3.0
#: Rates of two windows in a row that are odd on one side are multiplied, the lesser claim squared, and by
#: `_TWICE` for what follows itself. Both must be rarer than `_RARE`, and reach `_BEYOND` of the farthest the
#: row has been on that side in so many windows.
_TWICE, _RARE, _BEYOND, _MEMORY = 2.0, 0.005, 0.7, 20_000.0
#: Windows after the warm-up by which a row is known well enough for that.
KNOWN = 226.0
#: A first odd value for this many windows is no spike if it lies among those of the last windows. Deviations
#: as half precision holds them.
_AFTER, _FAR = 3.0, 30_000.0

#: ``odd_sides``, ``far_sides``, above and below: event rate of the last window's value, if it reached far
#: enough; deviations of the farthest value, fading. ``apart``: ring of the last windows' deviations from
#: level and season.
FIELDS = (
    Field("odd_sides", 2, "f4", 1.0),
    Field("far_sides", 2),
    Field("apart", WARM_UP, "f2", np.nan, sparse=True),
)


def weighed(state: Rows, rate: Floats, reached: Floats, lone: NDArray[np.bool_], twice: Floats) -> Floats:
    """Event rates [n] in view of the windows just before.

    Args:
        state: the rows' state, before this window is among their records.
        rate: event rates of this window.
        reached: the same, but for what is unknown of lone values.
        lone: where a single value of unknown origin leads.
        twice: what `in_a_row` gave.
    """
    near = (state["event_quiet"] < _NEAR) & (state["event_peak"] > 0)
    together = near & (rate <= _ODD)
    alone = np.where(lone & ~together, np.maximum(rate, reached ** (1.0 - _ALONE)), rate)
    alone = np.where(lone, np.minimum(alone, twice), alone)
    held_back = together & (state["quiet"] > _HELD_BACK)
    return np.where(held_back, np.minimum(alone, 10.0 ** -state["event_peak"]), alone)


def in_a_row(state: Rows, z: Floats, sides: Floats, active: NDArray[np.bool_], known: Floats) -> Floats:
    """Event rates [n] of this window and the last, where both are odd on the same side; else 1.

    ``z``: [n] residuals in deviations; ``sides``: [2, n] event rates of such, above and below; or none;
    ``known``: [n] from 0 to 1, how well the row is known: where level and scale are guessed, one error serves
    both windows, and they claim little more than one.
    """
    if not len(sides):
        return np.ones(len(z))
    off, far, last = np.array((z, -z)), state["far_sides"], state["odd_sides"]
    odd = np.where((off > _BEYOND * far) & (sides < _RARE), sides, 1.0)
    both = np.maximum(odd, last).min(0)
    np.copyto(far, np.maximum(far * (1.0 - 1.0 / _MEMORY), off), where=active)
    np.copyto(last, odd, where=active)
    return np.where(active & (both < _RARE), _TWICE * both ** (1.0 + known), 1.0)


def familiar(state: Rows, window: Window, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of ``rows`` (indices into the block) are as far from level and season as the last windows were.

    Args:
        state: the rows' state, before this window is remembered.
        window: the window.
        rows: which.
    """
    ring, off = state["apart"][:, rows], _apart(window, rows)
    low, high = np.fmin.reduce(ring), np.fmax.reduce(ring)
    margin = 0.1 * (high - low)
    among: NDArray[np.bool_] = (off >= low - margin) & (off <= high + margin)
    begun = state["n"][rows] - 1 > state["lent"][rows]
    return among & begun & (state["event_quiet"][rows] >= _AFTER)


def remember(state: Rows, window: Window) -> None:
    """Keep how far the window was from level and season."""
    some = np.flatnonzero(window.active)
    place = state["n"][some].astype(np.int64) % WARM_UP
    state["apart"][place, some] = _apart(window, some)


def forget(state: Rows, rows: NDArray[np.int64]) -> None:
    """Their level has changed: how far the last windows of ``rows`` were from the old one tells nothing."""
    state["apart"][:, rows] = np.nan


def _apart(window: Window, rows: NDArray[np.int64]) -> Floats:
    return np.minimum(np.maximum(window.deviation[rows] / window.sd[rows], -_FAR), _FAR)
