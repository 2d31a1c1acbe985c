"""Sentinels: centroids of answers known to be bad, and which vectors lie near them.

A vector is near a sentinel if it is more than a part of the way from the sample's mean to it, in units of the
sample's own scatter (Fisher's linear discriminant): quiet directions, in which ordinary answers hardly
differ, tell most. A sample of real answers holds some bad ones, and they would make the very directions loud
that tell. So the rows nearest to any sentinel are put aside and the scatter taken anew, some rounds
(concentration steps, as for the minimum covariance determinant).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gpu_scorers.centroids import centroids_of

#: Fewer vectors make no centroid of a sentinel.
LEAST_VECTORS = 16
#: Share of the sample put aside, and how many times.
_ASIDE, _ROUNDS = 0.05, 6
#: Least scatter along any direction, as a share of the usual one; more where dimensions are more than a share
#: of the rows.
_LEAST, _UNSURE, _ENOUGH = 0.01, 0.4, 0.25
#: Part of the way from the mean from which a vector is near; so many standard deviations of ordinary ones.
_PART, _APART = 0.5, 3.0


@dataclass(frozen=True)
class Sentinels:
    """Centroids of one or several sentinels.

    Attributes:
        centroids: f64 [centroids, dim], in the space of the vectors they will be held against.
        of: int64 [centroids], which sentinel each belongs to: 0 and up, without gaps.
    """

    centroids: npt.NDArray[np.float64]
    of: npt.NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many sentinels there are."""
        return int(self.of.max()) + 1

    @classmethod
    def fit(cls, vectors: npt.NDArray[np.floating], centroids: int, *, seed: int = 0) -> "Sentinels":
        """One sentinel, of known-bad vectors [rows, dim]; fewer centroids where rows are few.

        Raises:
            ValueError: Fewer than 16 vectors, or not finite.
        """
        x = torch.from_numpy(np.asarray(vectors, np.float64))
        if x.ndim != 2 or len(x) < LEAST_VECTORS:
            raise ValueError(f"a sentinel needs at least {LEAST_VECTORS} vectors")
        if not torch.isfinite(x).all():
            raise ValueError("a sentinel needs finite vectors")
        count = min(centroids, len(x) // LEAST_VECTORS)
        found = x.mean(0, keepdim=True)
        if count > 1:
            found = centroids_of(x, count, np.random.default_rng(seed))
        return cls(found.numpy(), np.zeros(len(found), np.int64))

    def near(
        self, sample: npt.NDArray[np.floating], vectors: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.bool_]:
        """Which of vectors [rows, dim] lie near a sentinel; a sample [rows, dim] says what is usual."""
        directions, offsets = boundaries(torch.from_numpy(np.asarray(sample, np.float64)), self)
        x = torch.from_numpy(np.asarray(vectors, np.float64))
        found: npt.NDArray[np.bool_] = (x @ directions + offsets > 0).any(1).numpy()
        return found


def boundaries(x: Tensor, sentinels: Sentinels) -> tuple[Tensor, Tensor]:
    """Half-spaces near sentinels: ``x @ directions + offsets > 0`` where x is near one of the centroids.

    Args:
        x: f64 [rows, dim], ordinary vectors, a few of them bad.
        sentinels: In the same space and scale.

    Returns:
        Directions, f64 [dim, centroids], and offsets, f64 [centroids].
    """
    aim = torch.from_numpy(sentinels.centroids)
    rows, dim = x.shape
    least = _LEAST + _UNSURE * max(dim / rows - _ENOUGH, 0.0)
    kept = x
    for left in reversed(range(_ROUNDS + 1)):
        mean = kept.mean(0)
        scatter = torch.cov(kept.T, correction=0).reshape(dim, dim)
        usual = torch.trace(scatter) / dim
        scatter += (least * usual + 1e-12) * torch.eye(dim, dtype=x.dtype)
        directions = torch.linalg.solve(scatter, (aim - mean).T)
        # 0 at the mean, 1 at the centroid; ordinary vectors vary by 1 / apart
        square = ((aim - mean) * directions.T).sum(1).clamp_min(1e-12)
        directions = directions / square
        if left:
            way = ((x - mean) @ directions).amax(1)
            kept = x[way <= way.quantile(1 - _ASIDE)]
    part = (_APART / square.sqrt()).clamp_min(_PART)
    return directions, -(mean @ directions) - part
