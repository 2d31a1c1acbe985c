"""How coarse a row's values are: how often they repeat, and how far they go when they move."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import Floats

#: ``least_move``, ``mean_move``: smallest and mean change of a value that changed, in its own unit.
FIELDS = (
    Field("last", None, "f8", np.nan),
    Field("repeats"),
    Field("moves"),
    Field("least_move", None, "f8", np.inf),
    Field("mean_move", None, "f8"),
)


#: Share of repeats from which values are taken for coarse.
_COARSE = 0.1


class Motion(NamedTuple):
    """How values moved in one window, [n]: repeated, changed, and the step they are coarse to (0: fine)."""

    same: NDArray[np.bool_]
    moved: NDArray[np.bool_]
    step: Floats


def watch(state: Rows, value: Floats, given: NDArray[np.bool_]) -> Motion:
    """Count this window, where there is a value."""
    last, moves, mean = state["last"], state["moves"], state["mean_move"]
    change = np.abs(value - last)
    same = given & (change == 0)
    moved = given & (change > 0)
    state["repeats"] += same
    moves += moved
    np.minimum(state["least_move"], change, out=state["least_move"], where=moved)
    mean += np.where(moved, (change - mean) / np.minimum(moves, 100.0), 0.0)
    np.copyto(last, value, where=given)
    least = state["least_move"]
    coarse = (state["repeats"] > _COARSE * state["n"]) & np.isfinite(least)
    return Motion(same, moved, np.where(coarse, least, 0.0))
