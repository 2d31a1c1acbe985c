"""What a history of n windows lets one claim: beyond it a tail is an opinion."""

import numpy as np

from operators.detectors.channel import Floats

#: Powers of (n + 1): a claim's excess beyond the first is halved in logs; a lone value is hardly said to be
#: rarer than the second, and what it says beyond counts so much, in logs.
_REACH, _LONE_REACH, _LONE_SLOPE = 1.5, 2.0, 0.4


def reached(rate: Floats, n: Floats) -> Floats:
    """Event rates [n] that are no claim far beyond the ``n`` windows seen."""
    reach = (n + 1.0) ** -_REACH
    return np.where(rate < reach, np.sqrt(reach * np.maximum(rate, 1e-30)), rate)


def bounded(rate: Floats, n: Floats, samples: Floats) -> Floats:
    """The same for values that may be lone ones of unknown origin, from whatever tail.

    One that stands on many ``samples`` is an average, whose tail is thin.
    """
    least = (n + 1.0) ** -_LONE_REACH
    lone = ~(samples >= 20) & (rate < least)
    return np.where(lone, least * (rate / least) ** _LONE_SLOPE, rate)
