"""``kswin/1``: a change of shape of the last 30 windows (Raab et al. 2020); costly."""

import numpy as np
from river.drift import KSWIN

from operators.columns import Rows
from operators.detectors.channel import DRIFT_TAIL, Channel, Floats, Window
from operators.detectors.river import PerRow


class Kswin(PerRow):
    """Kolmogorov-Smirnov between the last 30 windows and a sample of the 70 before: any change of shape."""

    id = "kswin/1"
    summary = "a change of shape of the last 30 windows (river KSWIN; costly, off by default)"
    channels = (
        Channel("kswin", 0, 0.1, DRIFT_TAIL._replace(start=3.0, sigma=2.0), gap=30, clusters=0.01, after=124),
    )

    def create(self) -> KSWIN:
        """See `PerRow.create`."""
        return KSWIN(alpha=1e-9, window_size=100, stat_size=30, seed=0)

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        out = np.zeros((1, len(window.z)))
        for row, test in self.objects(state, window):
            test.update(float(window.z[row]))
            out[0, row] = -np.log(max(test.p_value, 1e-30)) if len(test.window) >= test.window_size else 0.0
        return out
