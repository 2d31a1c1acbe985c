"""Histograms with other bounds (OpenTelemetry's) as log histograms: every count kept, none split.

Within a bucket of the source the values are taken as spread evenly; a bucket's n counts fall where its n
quantiles (k - 1/2) / n lie. The same bucket always gives the same bins, so partial histograms still add up.
"""

import math

import numpy as np
import numpy.typing as npt

from operators.cells import ZERO_BIN
from operators.fold.bins import LOWEST, SMALLEST, bin_of, edges


def spread(lower: float, upper: float, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Spread the count of one bucket over log bins.

    Args:
        lower: exclusive lower bound; -inf or below 0 counts as 0.
        upper: inclusive upper bound; +inf puts all just above ``lower``.
        count: samples in the bucket.

    Returns:
        Bins, ascending, and their counts, all above 0; the counts add up to ``count``.
    """
    lower = max(lower, 0.0)
    if count <= 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if upper < SMALLEST:
        return np.array([ZERO_BIN]), np.array([count])
    if math.isinf(upper):
        above = math.nextafter(max(lower, SMALLEST), math.inf)
        return bin_of(np.array([above])), np.array([count])
    first, last = bin_of(np.array([math.nextafter(max(lower, SMALLEST), math.inf), upper]))
    bins = np.arange(min(first, last), last + 1)
    reached = np.minimum(edges()[bins - LOWEST], upper)
    below = np.floor((reached - lower) / (upper - lower) * count + 0.5).astype(np.int64)
    below[-1] = count
    counts = np.diff(below, prepend=0)
    return bins[counts > 0], counts[counts > 0]


def attribute_of(lower: float, upper: float) -> str:
    """The attribute under which a cumulative histogram's bucket keeps its readings."""
    return f"bin:{lower!r}:{upper!r}"


def bounds_of(attribute: str) -> tuple[float, float] | None:
    """Lower and upper bound of an attribute made by `attribute_of`, None for any other."""
    prefix, _, bounds = attribute.partition(":")
    if prefix != "bin":
        return None
    lower, _, upper = bounds.partition(":")
    return float(lower), float(upper)
