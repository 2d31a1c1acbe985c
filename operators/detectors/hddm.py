"""``hddm_a/1`` and ``hddm_w/1``: more hits than before, by Hoeffding bounds (Frias-Blanco et al. 2015)."""

import numpy as np
from river.drift.binary import HDDMA, HDDMW

from operators.columns import Field, Rows
from operators.detectors.channel import VALUE_TAIL, Channel, Floats, Window
from operators.detectors.river import PerRow

#: Residuals above this are hits: one in ten.
_HIT = 1.2816
#: False flags a window that are taken for usual before the row has shown how many, and what that counts for.
_FLAG_RATE, _FLAG_WORTH = 1e-3, 1000.0


class FlaggedHits(PerRow):
    """A flag on hits (residuals in their upper tenth), at the frequency this row's flags came before."""

    rates = True

    def __init__(self) -> None:
        self._flags = f"{self.id.partition('/')[0]}_flags"
        self.fields = (Field(self._flags),)
        super().__init__()

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        rate = np.ones((1, len(window.z)))
        flags, n = state[self._flags], state["n"]
        for row, test in self.objects(state, window):
            test.update(bool(window.z[row] > _HIT))
            if test.drift_detected:
                rate[0, row] = (flags[row] + _FLAG_RATE * _FLAG_WORTH) / (n[row] + _FLAG_WORTH)
                flags[row] += 1
        return rate


class HddmA(FlaggedHits):
    """HDDM_A: Hoeffding bounds on averages of hits."""

    id = "hddm_a/1"
    summary = "more windows in their upper tenth than before (river HDDM_A)"
    channels = (Channel("hddm_a", +1, 1.0, VALUE_TAIL, gap=0, clusters=0),)

    def create(self) -> HDDMA:
        """See `PerRow.create`."""
        return HDDMA()  # type: ignore[no-untyped-call]


class HddmW(FlaggedHits):
    """HDDM_W: the same on exponentially weighted averages."""

    id = "hddm_w/1"
    summary = "more windows in their upper tenth than lately (river HDDM_W)"
    channels = (Channel("hddm_w", +1, 1.0, VALUE_TAIL, gap=0, clusters=0),)

    def create(self) -> HDDMW:
        """See `PerRow.create`."""
        return HDDMW()  # type: ignore[no-untyped-call]
