"""``page_hinkley/1``: a shift of the mean against its running mean (Page 1954)."""

import numpy as np
from river.drift import PageHinkley

from operators.columns import Rows
from operators.detectors.channel import DRIFT_TAIL, Channel, Floats, Window
from operators.detectors.river import PerRow


class PageHinkleyTest(PerRow):
    """Page-Hinkley's two sums, each above its own minimum."""

    id = "page_hinkley/1"
    summary = "a shift of the mean against its running mean (river PageHinkley)"
    channels = (
        Channel("page_hinkley+", +1, 0.06, DRIFT_TAIL, gap=32, clusters=0.003, after=64, full_day=True),
        Channel("page_hinkley-", -1, 0.06, DRIFT_TAIL, gap=32, clusters=0.003, after=64, full_day=True),
    )

    def create(self) -> PageHinkley:
        """See `PerRow.create`."""
        return PageHinkley(delta=0.25, threshold=200.0, alpha=1.0)

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        out = np.zeros((2, len(window.z)))
        clipped = window.clipped
        for row, test in self.objects(state, window):
            test.update(float(clipped[row]))
            out[0, row] = test._sum_increase - test._min_increase
            out[1, row] = test._max_decrease - test._sum_decrease
        return np.maximum(out, 0.0) * 0.5
