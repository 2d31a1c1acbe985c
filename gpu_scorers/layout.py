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
#: Quantiles of the distance to the nearest centroid beyond which vectors are counted; 1 is the farthest seen.
#: Of new vectors some three times as many lie beyond: centroids fit their own sample best.
FAR_QUANTILES = (0.997, 0.9997, 1.0)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Names to places in a sketch of ``width`` sums.

    Attributes:
        dim: Dimension of the vectors.
        features: Random Fourier features (cosines and sines together; even).
        clusters: Centroids.
        axes: Leading whitened axes whose squared coordinates are summed.
        given: Clusters and dimension of the other side whose sums stand behind a sketch that is scored
            given them; none by default.
        sentinels: Names of known-bad answers whose near vectors are counted; none by default.
    """

    dim: int
    features: int
    clusters: int
    axes: int
    given: tuple[int, int] = (0, 0)
    sentinels: int = 0

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Places by name.

        ``n`` rows; sums: ``lin`` of x, ``rff`` of Fourier features, ``near`` of squared distances, ``quad``
        of squared coordinates; counts: ``far`` beyond thresholds, ``bad`` near sentinels, ``clu`` by
        centroid, ``rep`` by code bin.
        """
        widths = {
            "n": 1,
            "lin": self.dim,
            "rff": self.features,
            "near": 1,
            "quad": self.axes,
            "far": len(FAR_QUANTILES),
            "bad": self.sentinels,
            "clu": self.clusters,
            "rep": REPEAT_BINS,
        }
        places: dict[str, slice] = {}
        start = 0
        for name, width in widths.items():
            places[name] = slice(start, start + width)
            start += width
        return places

    @cached_property
    def dense(self) -> int:
        """Leading sums that every row adds to; behind them come the one-of-many counts."""
        return int(self.blocks["clu"].start)

    @cached_property
    def width(self) -> int:
        """Sums in a sketch as it is folded."""
        return int(self.blocks["rep"].stop)

    @cached_property
    def whole(self) -> int:
        """Sums in a sketch as it is scored: behind its own, rows, clusters and sum of the other side."""
        return self.width + (1 + sum(self.given) if any(self.given) else 0)

    @cached_property
    def regressors(self) -> npt.NDArray[np.int64]:
        """Places in a sketch of what the other side is scored given: rows, clusters, sum of x."""
        every = np.arange(self.width)
        return np.concatenate([every[self.blocks[name]] for name in ("n", "clu", "lin")])

    @cached_property
    def quanta(self) -> Array:
        """f64 [whole]: what one unit of each sum is worth."""
        worth = np.ones(self.whole)
        worth[self.blocks["lin"].start : self.blocks["quad"].stop] = QUANTUM
        worth[self.whole - self.given[1] :] = QUANTUM
        return worth
