"""Whether an odd value is one of several: what stands alone is believed less.

Anomalies last; what a heavy tail throws up stands alone, and in a short history the two cannot be told apart
by size. So a lone value that stands on few samples, or on who knows how many, claims about half, in logs, of
what its tail says: it must be rarer by far to alarm at once. If another odd window follows within three, both
together claim what the first did, and the alarm that was held back is raised.

A value that lies among those of the last windows is no spike at all, whatever had been predicted.
"""

import numpy as np
from numpy.typing import NDArray

from operators.columns import Rows
from operators.detectors.channel import Floats

#: Windows within which a second odd one must follow, and the event rate that makes it odd.
_NEAR, _ODD = 3.0, 0.01
#: Share of its claim, in logs, that a lone value loses.
_ALONE = 0.45
#: Windows without alarm after which a claim is one that was held back.
_HELD_BACK = 3.0
#: A first odd value for this many windows is no spike if it lies among those of the last windows.
_APART = 3.0


def weighed(state: Rows, rate: Floats, reached: Floats, lone: NDArray[np.bool_]) -> Floats:
    """Event rates [n] in view of the windows just before.

    Args:
        state: the rows' state, before this window is among their records.
        rate: event rates of this window.
        reached: the same, but for what is unknown of lone values.
        lone: where a single value of unknown origin leads.
    """
    near = (state["event_quiet"] < _NEAR) & (state["event_peak"] > 0)
    together = near & (rate <= _ODD)
    alone = np.where(lone & ~together, np.maximum(rate, reached ** (1.0 - _ALONE)), rate)
    held_back = together & (state["quiet"] > _HELD_BACK)
    return np.where(held_back, np.minimum(alone, 10.0 ** -state["event_peak"]), alone)


def familiar(state: Rows, value: Floats) -> NDArray[np.bool_]:
    """Where a value [n] lies among those of the last windows, which it is not one of yet."""
    ring, off = state["recent"], (value - state["origin"]).astype("f4")
    low, high = np.fmin.reduce(ring), np.fmax.reduce(ring)
    margin = 0.1 * (high - low)
    among: NDArray[np.bool_] = (off >= low - margin) & (off <= high + margin)
    return among & (state["event_quiet"] >= _APART)
