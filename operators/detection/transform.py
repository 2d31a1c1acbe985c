"""From values to the working scale: plain or root of small counts; fair noise on coarse values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import Floats

#: ``root``: 1 where the row is on the square-root scale; ``seed``: of its noise, from its fingerprint.
#: ``unit``: what values are multiplied by first: rates of counts become counts a window.
FIELDS = (Field("root"), Field("seed", None, "u4"), Field("unit", None, "f8", 1.0))

_SMALL_COUNT = 10.0


def choose(state: Rows, rows: NDArray[np.int64], ring: Floats) -> None:
    """Put ``rows`` whose last values ``ring`` are small whole ones on the square-root scale (Anscombe)."""
    whole = np.all(np.isnan(ring) | ((np.abs(ring - np.round(ring)) < 1e-6) & (ring >= 0)), axis=0)
    small = whole & (np.nanmean(ring, axis=0) < _SMALL_COUNT)
    state["root"][rows] = small


def forward(values: Floats, root: Floats) -> Floats:
    """Working values; ``root`` > 0 takes 2 sqrt(x + 0.475)."""
    if not root.any():
        return values
    return np.where(root > 0, 2 * np.sqrt(np.maximum(values, 0) + 0.475), values)


def backward(working: Floats, root: Floats) -> Floats:
    """Values from working values: inverse of `forward`."""
    if not root.any():
        return working
    return np.where(root > 0, np.maximum(np.maximum(working, 0) ** 2 / 4 - 0.475, 0), working)


def noise(seed: NDArray[np.uint32], time_s: "float | Floats") -> Floats:
    """Uniform noise in [-0.5, 0.5) from (row, time): the same on every engine and after every restart."""
    with np.errstate(over="ignore"):
        tick = (np.asarray(time_s, np.uint64) * np.uint64(2654435761)).astype(np.uint32)
        mixed: NDArray[Any] = seed ^ tick
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            mixed = (mixed ^ (mixed >> np.uint32(shift))) * np.uint32(factor)
        mixed = mixed ^ (mixed >> np.uint32(16))
    uniform: NDArray[Any] = mixed / np.float64(2**32) - 0.5
    return uniform
