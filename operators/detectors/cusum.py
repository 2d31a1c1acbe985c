"""``cusum/1``: a shift of the level, by two-sided cumulative sums (Page 1954); off by default."""

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import DRIFT_TAIL, Channel, Detector, Floats, Window

#: Allowances in deviations: tuned to shifts of twice as much. The sums' tails fall as exp(-2 allowance sum).
_ALLOWANCE = np.array([[0.25], [0.25], [0.75], [0.75]])
_SIGN = np.array([[1.0], [-1.0], [1.0], [-1.0]])


class Cusum(Detector):
    """Sums of clipped residuals less an allowance, never below zero."""

    id = "cusum/1"
    summary = "a shift of the level of half a deviation or more"
    fields = (Field("cusum", 4),)
    channels = (
        Channel("cusum0.25+", +1, 0.06, DRIFT_TAIL, gap=32, clusters=0.004, after=64, full_day=True),
        Channel("cusum0.25-", -1, 0.06, DRIFT_TAIL, gap=32, clusters=0.004, after=64, full_day=True),
        Channel("cusum0.75+", +1, 0.06, DRIFT_TAIL, gap=8, clusters=0.012, after=64),
        Channel("cusum0.75-", -1, 0.06, DRIFT_TAIL, gap=8, clusters=0.012, after=64),
    )

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        sums = state["cusum"]
        sums += window.active * (_SIGN * window.clipped - _ALLOWANCE)
        np.maximum(sums, 0.0, out=sums)
        return np.asarray(2 * _ALLOWANCE * sums)

    def settle(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """See `Detector.settle`."""
        state["cusum"][:, rows] = 0.0
