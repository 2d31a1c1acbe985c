"""``level/1``: a slow ramp: the recent level (48 windows) against the fixed slow reference."""

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import DRIFT_TAIL, Channel, Detector, Floats, Window, own_scale

_SPAN = np.array([[128.0]])
_WORTH = np.array([[4.0]])
_TAIL = DRIFT_TAIL._replace(thin_peaks=20.0)


class Level(Detector):
    """Mean of the deseasonalised deviation over 48 windows, against the reference that learns in 1000."""

    id = "level/1"
    summary = "a slow ramp away from the reference level"
    fields = (Field("level_mean", None, "f8"), Field("level_squares", None, "f8"))
    channels = (
        Channel("level+", +1, 0.03, _TAIL, gap=64, clusters=0.01, after=64, full_day=True),
        Channel("level-", -1, 0.03, _TAIL, gap=64, clusters=0.01, after=64, full_day=True),
    )

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        prior = np.maximum(0.05 * window.sd**2, 1e-300)[None]
        mapped, variance = own_scale(
            state["level_mean"][None], state["level_squares"][None], state["seen"], prior, _SPAN, _WORTH
        )
        window.scratch["level_var"] = variance[0]
        return np.concatenate((mapped, -mapped))

    def learn(self, state: Rows, window: Window) -> None:
        """See `Detector.learn`."""
        mean, squares = state["level_mean"], state["level_squares"]
        squares += window.learn * np.minimum(mean**2, 16.0 * window.scratch["level_var"])
        squares *= 1.0 - window.learn / 4000.0
        usual = window.deviation * (window.base / window.sd)
        limit = 3.5 * window.base + np.abs(mean)
        mean += window.active * (np.minimum(np.maximum(usual, -limit), limit) - mean) / 48.0

    def settle(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """See `Detector.settle`."""
        state["level_mean"][rows] = 0.0
