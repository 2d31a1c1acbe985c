"""``variance/1``: residuals wider than usual, as the mean absolute residual over 48 windows."""

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import DRIFT_TAIL, Channel, Detector, Floats, Window, own_scale

_PRIOR = np.array([[0.36 / 95]])
_SPAN = np.array([[96.0]])
_WORTH = np.array([[6.0]])


class Variance(Detector):
    """Moving mean of min(|z|, 3) above its long-run mean."""

    id = "variance/1"
    summary = "a spread larger than usual"
    fields = (Field("spread"), Field("spread_squares"), Field("spread_usual", start=0.8))
    channels = (
        Channel(
            "variance+",
            0,
            0.1,
            DRIFT_TAIL._replace(sigma=1.2, doubt_peaks=10.0, thin_peaks=100.0),
            gap=48,
            clusters=0.003,
            after=64,
            full_day=True,
        ),
    )

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        spread = state["spread"]
        spread += window.active * (np.abs(window.clipped) - state["spread_usual"] - spread) / 48.0
        mapped, variance = own_scale(
            spread[None], state["spread_squares"][None], state["seen"], _PRIOR, _SPAN, _WORTH
        )
        window.scratch["spread_var"] = variance[0]
        return mapped

    def learn(self, state: Rows, window: Window) -> None:
        """See `Detector.learn`."""
        squares, usual = state["spread_squares"], state["spread_usual"]
        squares += window.learn * np.minimum(state["spread"] ** 2, 16.0 * window.scratch["spread_var"])
        squares *= 1.0 - window.learn / 4000.0
        usual += window.learn * (np.abs(window.clipped) - usual) / np.minimum(state["age"] + 30.0, 1000.0)

    def settle(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """See `Detector.settle`."""
        state["spread"][rows] = 0.0
