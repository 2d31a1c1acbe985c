"""``marginal/1``: a value unlike this hour's, whatever the windows just before were."""

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import VALUE_TAIL, Channel, Detector, Floats, Window


class Marginal(Detector):
    """Deviation from slow level and season, without the autoregression that follows a slow onset."""

    id = "marginal/1"
    summary = "a value far from its level and season"
    fields = (Field("marginal_var", None, "f8", 1.0),)
    channels = (
        Channel("marginal+", +1, 0.12, VALUE_TAIL, gap=6, clusters=0.016, after=64, full_day=True),
        Channel("marginal-", -1, 0.12, VALUE_TAIL, gap=6, clusters=0.016, after=64, full_day=True),
    )

    def start(self, state: Rows, rows: NDArray[np.int64], sd: Floats) -> None:
        """See `Detector.start`."""
        state["marginal_var"][rows] = sd**2

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        standard = window.deviation * (window.base / window.sd)
        least = np.where(window.step > 0, 1.0, 0.25) * window.base**2
        usual = np.sqrt(np.maximum(state["marginal_var"], least))
        window.scratch["marginal_scale"] = usual * window.sd / window.base
        standard = standard / usual
        return np.array((standard, -standard))

    def learn(self, state: Rows, window: Window) -> None:
        """See `Detector.learn`."""
        var = state["marginal_var"]
        usual = window.deviation * (window.base / window.sd)
        square = np.minimum(usual**2 / var, 9.0)
        var += window.learn * (square * 1.005 - 1.0) * var / np.minimum(state["age"] / 2.0 + 1.0, 1000.0)
        np.maximum(var, state["floor"] ** 2, out=var)
