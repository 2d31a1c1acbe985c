"""``ewma/1``: a shift of the level, seen by moving averages of three lengths (4, 16 and 64 windows)."""

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import DRIFT_TAIL, Channel, Detector, Floats, Window, own_scale

RATES = np.array([[1 / 4], [1 / 16], [1 / 64]])
_THEORY = RATES / (2 - RATES)
_SPAN = 2 / RATES
_WORTH = np.full((3, 1), 10.0)


class Ewma(Detector):
    """Exponentially weighted means of clipped residuals, each over its own running deviation."""

    id = "ewma/1"
    summary = "a shift of the level within 4, 16 or 64 windows"
    fields = (Field("ewma", 3), Field("ewma_squares", 3))
    channels = tuple(
        Channel(
            f"ewma{span}{sign}",
            side,
            share,
            DRIFT_TAIL._replace(sum=True, doubt_peaks=10.0, thin_peaks=20.0),
            gap=span,
            clusters=clusters,
            after=64,
            full_day=span > 4,
        )
        for span, clusters, share in ((4, 0.025, 0.06), (16, 0.0075, 0.12), (64, 0.0025, 0.06))
        for sign, side in (("+", 1), ("-", -1))
    )

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        ewma = state["ewma"]
        ewma += window.active * RATES * (window.clipped - ewma)
        prior = _THEORY + 1.0 / np.minimum(state["age"] + 1.0, 1000.0)
        mapped, variance = own_scale(ewma, state["ewma_squares"], state["seen"], prior, _SPAN, _WORTH)
        short = np.maximum(variance, 0.8 * prior)
        mapped *= variance / short
        window.scratch["ewma_var"] = short
        window.scratch["fast"] = np.sqrt(np.abs(mapped[0]) * 2)
        window.scratch["slow"] = np.abs(ewma[1])
        out = np.empty((6, mapped.shape[1]), mapped.dtype)
        out[0::2] = mapped
        out[1::2] = -mapped
        return out

    def learn(self, state: Rows, window: Window) -> None:
        """See `Detector.learn`."""
        squares = state["ewma_squares"]
        squares += window.learn * np.minimum(state["ewma"] ** 2, 16.0 * window.scratch["ewma_var"])
        squares *= 1.0 - window.learn / 4000.0

    def settle(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """See `Detector.settle`."""
        state["ewma"][:, rows] = 0.0
