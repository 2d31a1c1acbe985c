"""``spike/1``: one window far from what was predicted."""

import numpy as np

from operators.columns import Rows
from operators.detectors.channel import VALUE_TAIL, Channel, Detector, Floats, Window


class Spike(Detector):
    """The standardised residual itself, each side with its own tail."""

    id = "spike/1"
    summary = "a single window far from its prediction"
    channels = (
        Channel("spike+", +1, 0.2, VALUE_TAIL, gap=3, clusters=0.018),
        Channel("spike-", -1, 0.2, VALUE_TAIL, gap=3, clusters=0.018),
    )

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        return np.array((window.z, -window.z))
