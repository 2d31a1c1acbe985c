"""Confidence sequences: intervals for a mean that hold at every moment at once.

Whoever looks after every block and stops when the interval suits is still wrong with probability ``alpha`` at
most. The sequence is the asymptotic one of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform
central limit theory and asymptotic confidence sequences" (Annals of Statistics 2024), with the spread of
so few differences made wider by Student's t, as for an interval at one moment.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from operators.shard.sketches import Floats

#: Blocks before anything is said.
FEWEST = 6
#: Blocks at which the sequence is about tightest.
_TIGHTEST = 20.0


class Interval(NamedTuple):
    """Mean of the differences with its bounds; infinite while there are too few."""

    mean: float
    low: float
    high: float
    blocks: int


def interval(differences: Floats, alpha: float) -> Interval:
    """The confidence sequence's interval after these differences.

    Args:
        differences: [K], in order of time, each about independent of those before.
        alpha: probability, over all moments together, that the mean is outside.
    """
    blocks = len(differences)
    mean = float(np.mean(differences)) if blocks else math.nan
    if blocks < FEWEST:
        return Interval(mean, -math.inf, math.inf, blocks)
    width = float(np.std(differences, ddof=1)) * half_width(blocks, alpha)
    return Interval(mean, mean - width, mean + width, blocks)


def half_width(blocks: int, alpha: float) -> float:
    """Half the interval's width after so many blocks, in standard deviations of one difference."""
    # the rho that makes the width smallest at _TIGHTEST blocks, equation 10 there
    rho2 = (-2.0 * math.log(alpha) + math.log(-2.0 * math.log(alpha) + 1.0)) / _TIGHTEST
    scaled = blocks * rho2 + 1.0
    width = math.sqrt(2.0 * scaled / (blocks**2 * rho2) * math.log(math.sqrt(scaled) / alpha))
    level = stats.norm.sf(width * math.sqrt(blocks))  # what this width would be at one moment
    return float(stats.t.isf(level, blocks - 1)) / math.sqrt(blocks)


def blocks_until(differences: Floats, alpha: float, wanted: float) -> int | None:
    """How many blocks in all, if they go on like this, make half the width ``wanted``; None: over 10,000."""
    spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else math.inf
    low, high = max(FEWEST, len(differences)), 10_000
    if wanted <= 0 or not spread * half_width(high, alpha) <= wanted:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if spread * half_width(middle, alpha) <= wanted else (middle + 1, high)
    return low
