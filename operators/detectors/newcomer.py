"""``newcomer/1``: a new version or replica that is unlike its relatives, within its first hour."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from operators.columns import Field, Rows
from operators.detectors.channel import VALUE_TAIL, Channel, Detector, Floats, Window

#: Windows the comparison takes, those it needs at least, and looks at it that are worth one of their own.
_SPAN, _FROM, _LOOKS = 60.0, 3.0, 3.0
#: Deviations that one window counts for at most.
_MOST = 5.0


class Newcomer(Detector):
    """Mean deviation from the level its relatives have, against how far relatives lie apart.

    Its rate is a p-value spent over the whole comparison: the spread between relatives is drawn once for a
    row, so looking at the mean again and again is little more than looking once.
    """

    id = "newcomer/1"
    summary = "a new version or replica unlike its relatives"
    rates = True
    counted = True
    #: ``home``: level of the relatives; ``home_spread``: variance between them over that of a window, 0 where
    #: there is nothing to compare; ``home_sum``: of deviations so far; ``home_seen``: their number.
    fields = (Field("home", None, "f8"), Field("home_spread"), Field("home_sum"), Field("home_seen"))
    channels = (
        Channel("newcomer+", +1, 1.0, VALUE_TAIL, gap=0, clusters=0),
        Channel("newcomer-", -1, 1.0, VALUE_TAIL, gap=0, clusters=0),
    )

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        rates = np.ones((2, len(window.z)))
        some = np.flatnonzero((state["home_spread"] > 0) & window.active)
        if not some.size:
            return rates
        season = window.y[some] - window.deviation[some] - state["level"][some]
        scale = window.base[some]
        off = (window.y[some] - season - state["home"][some]) / scale
        seen = state["home_seen"][some] + 1.0
        total = state["home_sum"][some] + np.minimum(np.maximum(off, -_MOST), _MOST)
        state["home_seen"][some], state["home_sum"][some] = seen, total
        # what follows itself makes means that vary longer: by its regression, at most as single values do
        lasting = 1.0 / np.maximum(1.0 - state["weights"][:3, some].sum(0), 0.1) ** 2 / seen
        single = np.maximum(state["plain_var"][some] / scale**2, 1.0)
        z = (
            total
            / seen
            / np.sqrt(state["home_spread"][some] + np.minimum(np.maximum(lasting, 1 / seen), single))
        )
        known = seen >= _FROM
        for side, sign in enumerate((-1.0, 1.0)):
            rate = np.maximum(ndtr(sign * z), 1e-30) * (_LOOKS / _SPAN)
            rates[side, some] = np.where(known, rate, 1.0)
        ended = (seen >= _SPAN) & (state["frozen"][some] == 0)
        state["home_spread"][some[ended]] = 0.0
        return rates

    def settle(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """See `Detector.settle`: it is one of its own now."""
        state["home_spread"][rows] = 0.0
