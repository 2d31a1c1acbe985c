"""How coarse a row's values are: how often they repeat, and how far they go when they move."""

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


def watch(
    state: Rows, value: Floats, active: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Count this window; returns where the value repeated the last one, and where it moved, [n] each."""
    last, moves, mean = state["last"], state["moves"], state["mean_move"]
    change = np.abs(value - last)
    same = active & (change == 0)
    moved = active & (change > 0)
    state["repeats"] += same
    moves += moved
    np.minimum(state["least_move"], change, out=state["least_move"], where=moved)
    mean += np.where(moved, (change - mean) / np.minimum(moves, 100.0), 0.0)
    np.copyto(last, value, where=active)
    return same, moved
