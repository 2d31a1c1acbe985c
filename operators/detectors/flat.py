"""``flat/1``: a value that stopped moving, or one that never moves and does."""

import numpy as np
from scipy.special import betaln

from operators.columns import Field, Rows
from operators.detectors.channel import VALUE_TAIL, Channel, Detector, Floats, Window


class Flat(Detector):
    """Length of a run of one value, against how this series' runs go on; and the first moves of a still one.

    A run's rate is (runs started a window) x (chance that it goes on so long), both counted on ended runs, of
    which the first 200 windows count. The chance is predictive (beta-binomial), so few runs claim little.
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
        state["run_repeats"] += ended * np.minimum(run - 2, 200)
        run[...] = np.where(same, run + 1, np.where(active, 0, run))
        n, moves = state["n"], state["moves"]
        long = np.flatnonzero(active & (run > 3) & (moves >= 20))
        flat = np.ones(len(n))
        if long.size:
            went_on = state["run_repeats"][long] + 1.0
            ended_by = state["run_chances"][long] + 2.0 - went_on
            so_long = betaln(went_on + run[long] - 2, ended_by) - betaln(went_on, ended_by)
            flat[long] = (state["runs"][long] + 0.5) / (n[long] + 1) * np.exp(so_long) * 20
        change = (moves + 1) / (n + 1)
        move = np.where(window.moved & (change < 0.05), change, 1.0)
        return np.array((flat, move))
