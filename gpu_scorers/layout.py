"""Where everything lies in a sketch: one flat vector of sums per (series, bucket), so that merging is adding.

Every entry is a whole number of ``quantum``s kept in float64. Additions of whole numbers are exact below
2**53, so a sketch does not depend on the order, the chunking or the device's atomics its rows were added by.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

#: Features that are not counts are rounded to multiples of this before they are summed.
QUANTUM = 2.0**-14
#: Bins of the repeat counter: vectors that are alike to the last sign bit meet in one bin.
REPEAT_BINS = 512
#: Sign bits of the repeat counter's code.
REPEAT_BITS = 24
#: Quantiles of the distance to the nearest centroid beyond which vectors are counted.
FAR_QUANTILES = (0.99, 0.999)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Names to places in a sketch of ``width`` sums.

    Attributes:
        dim: Dimension of the vectors.
        features: Random Fourier features (cosines and sines together; even).
        clusters: Centroids.
        axes: Leading whitened axes whose squared coordinates are summed.
    """

    dim: int
    features: int
    clusters: int
    axes: int

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Places by name.

        ``n`` rows; sums: ``lin`` of x, ``rff`` of Fourier features, ``near`` of squared distances, ``quad``
        of squared coordinates; counts: ``far`` beyond thresholds, ``clu`` by centroid, ``rep`` by code bin.
        """
        widths = {
            "n": 1,
            "lin": self.dim,
            "rff": self.features,
            "near": 1,
            "quad": self.axes,
            "far": len(FAR_QUANTILES),
            "clu": self.clusters,
            "rep": REPEAT_BINS,
        }
        places: dict[str, slice] = {}
        start = 0
        for name, width in widths.items():
            places[name] = slice(start, start + width)
            start += width
        return places

    @property
    def dense(self) -> int:
        """Leading sums that every row adds to; behind them come the one-of-many counts."""
        return int(self.blocks["clu"].start)

    @property
    def width(self) -> int:
        """Sums in a sketch."""
        return int(self.blocks["rep"].stop)

    @cached_property
    def quanta(self) -> Array:
        """f64 [width]: what one unit of each sum is worth."""
        worth = np.ones(self.width)
        worth[self.blocks["lin"].start : self.blocks["quad"].stop] = QUANTUM
        return worth
