"""95 % intervals: of a share by Wilson, of any figure by resampling whole timelines."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

_Z = 1.959964
_DRAWS = 2000

Interval = tuple[float, float]


def wilson(hits: int, trials: int) -> Interval | None:
    """Wilson's score interval of ``hits`` out of ``trials``; None without trials (Wilson 1927)."""
    if not trials:
        return None
    share, spread = hits / trials, _Z * _Z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(items: Sequence[Item], figure: Callable[[Sequence[Item]], float | None]) -> Interval | None:
    """The 2.5 and 97.5 % points of a figure over resampled items; None with fewer than two.

    Args:
        items: what is independent of one another: timelines of different seeds.
        figure: of a sample of them; None where a sample has none, which is left out.
    """
    if len(items) < 2:
        return None
    draw = np.random.default_rng(0)
    picks = draw.integers(len(items), size=(_DRAWS, len(items))).tolist()
    values = [value for pick in picks if (value := figure([items[index] for index in pick])) is not None]
    if not values:
        return None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
