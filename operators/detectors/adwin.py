"""``adwin/1``: a shift of the mean within a window of adaptive length (Bifet and Gavalda 2007)."""

import numpy as np
from river.drift import ADWIN

from operators.columns import Rows
from operators.detectors.channel import DRIFT_TAIL, Channel, Floats, Window
from operators.detectors.river import PerRow


class Adwin(PerRow):
    """The mean of ADWIN's adaptive window, in standard errors: long windows see small shifts."""

    id = "adwin/1"
    summary = "a shift of the mean within a window of adaptive length (river ADWIN)"
    channels = (
        Channel("adwin+", +1, 0.06, DRIFT_TAIL, gap=16, clusters=0.005, after=64, full_day=True),
        Channel("adwin-", -1, 0.06, DRIFT_TAIL, gap=16, clusters=0.005, after=64, full_day=True),
    )

    def create(self) -> ADWIN:
        """See `PerRow.create`."""
        return ADWIN(delta=0.002)  # type: ignore[no-untyped-call]

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        out = np.zeros((2, len(window.z)))
        clipped = window.clipped
        for row, adwin in self.objects(state, window):
            adwin.update(float(clipped[row]))
            errors = adwin.estimation * min(adwin.width, 1000.0) ** 0.5
            out[0, row] = errors * abs(errors) / 2
        out[1] = -out[0]
        return out
