"""``flat/1``: a value that stopped moving, or one that never moves and does."""

import numpy as np

from operators.columns import Field, Rows
from operators.detectors.channel import VALUE_TAIL, Channel, Detector, Floats, Window


class Flat(Detector):
    """Length of a run of one value, against how this series' runs go on; and the first moves of a still one.

    A run's rate is (runs started a window) x (chance to go on one more window) ** (length - 2), both counted
    on ended runs, with half a run as prior.
    """

    id = "flat/1"
    summary = "a value that stopped moving, or a still one that moves"
    rates = True
    fields = (Field("run"), Field("runs"), Field("run_chances"), Field("run_repeats"))
    channels = (
        Channel("flat", 0, 1.0, VALUE_TAIL, gap=0, clusters=0),
        Channel("move", 0, 1.0, VALUE_TAIL, gap=0, clusters=0),
    )

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        active, same, run = window.active, window.same, state["run"]
        ended = window.moved & (run >= 2)
        state["runs"] += ended
        state["run_chances"] += ended * np.minimum(run - 1, 200)
        state["run_repeats"] += ended * np.minimum(run - 2, 199)
        run[...] = np.where(same, run + 1, np.where(active, 0, run))
        n, moves = state["n"], state["moves"]
        on = (state["run_repeats"] + 1) / (state["run_chances"] + 2)
        flat = (state["runs"] + 0.5) / (n + 1) * on ** np.maximum(run - 2, 0) * 20
        flat = np.where(active & (run > 3) & (moves >= 20), flat, 1.0)
        change = (moves + 1) / (n + 1)
        move = np.where(window.moved & (change < 0.05), change, 1.0)
        return np.array((flat, move))
