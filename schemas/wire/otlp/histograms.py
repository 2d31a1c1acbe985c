"""OTLP histogram points as bounds and counts: bucket i holds values in (bounds[i-1], bounds[i]]."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from schemas.wire.reasons import Refused

#: More buckets than any exporter makes (exponential histograms have 160 by default).
_MOST = 4096


class Buckets(NamedTuple):
    """``len(counts) == len(bounds) + 1``, bounds ascending and finite."""

    bounds: list[float]
    counts: list[int]


def explicit(point: Any, factor: float) -> Buckets:
    """Buckets of an explicit histogram; one without any is a single bucket of all.

    Raises:
        Refused: Bounds and counts do not fit each other.
    """
    counts = list(point.bucket_counts)
    if not counts:
        return _checked([], [point.count], point.count)
    bounds = _ascending(tuple(point.explicit_bounds), factor)
    if len(counts) != len(bounds) + 1 or len(counts) > _MOST:
        raise Refused("bad_histogram", "bucket counts do not fit the bounds")
    return _checked(bounds, counts, point.count)


@lru_cache(maxsize=256)
def _ascending(given: tuple[float, ...], factor: float) -> list[float]:
    """Bounds in the signal's unit; an exporter sends the same ones again and again."""
    bounds = np.array(given, np.float64) * factor
    if not np.isfinite(bounds).all() or (np.diff(bounds) <= 0).any():
        raise Refused("bad_histogram", "bounds do not ascend")
    held: list[float] = bounds.tolist()
    return held


def exponential(point: Any, factor: float) -> Buckets:
    """Buckets of an exponential histogram of values that are never negative: zero, then base**(offset + i).

    Raises:
        Refused: It holds negative values, or its bounds are no numbers.
    """
    if any(point.negative.bucket_counts):
        raise Refused("out_of_range", "a histogram of values that are never negative holds some")
    held = list(point.positive.bucket_counts)
    if len(held) > _MOST or not -20 <= point.scale <= 20:
        raise Refused("bad_histogram", "a scale or width no exporter makes")
    with np.errstate(over="ignore", under="ignore"):
        exponents = (point.positive.offset + np.arange(len(held) + 1)) / 2.0**point.scale
        bounds = np.exp2(exponents) * factor
    if not held:
        return _checked([], [point.zero_count], point.count)
    if not np.isfinite(bounds).all() or (np.diff(bounds) <= 0).any():
        raise Refused("bad_histogram", "bounds beyond what a number holds")
    return _checked(bounds.tolist(), [point.zero_count, *held, 0], point.count)


def _checked(bounds: list[float], counts: list[int], total: int) -> Buckets:
    if min(counts) < 0 or total >= 2**62 or sum(counts) != total:
        raise Refused("bad_histogram", "bucket counts do not add up to the count")
    return Buckets(bounds, counts)
