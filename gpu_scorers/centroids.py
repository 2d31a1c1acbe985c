"""Centroids: k-means that starts from Ward's clusters."""

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

_LLOYD_ROUNDS = 15
#: Rows whose Ward clusters k-means starts from.
_WARD_ROWS = 2048


def centroids_of(x: Tensor, count: int, random: np.random.Generator) -> Tensor:
    """f64 [count, dim]: centroids of x [rows, dim] of at least as many rows, from Ward's clusters of some.

    From random rows every fifth topic or so never gets a centroid of its own; one that shares another's looks
    new each time it comes up.
    """
    order = random.permutation(len(x))
    some = x[torch.from_numpy(order[: max(_WARD_ROWS, count)])]
    label = fcluster(linkage(some.numpy(), "ward"), count, "maxclust") - 1
    # alike rows may make fewer clusters: rows of their own fill them up
    centroids = some[:count].clone()
    found = int(label.max()) + 1
    total = torch.zeros(found, x.shape[1]).double().index_add_(0, torch.from_numpy(label).long(), some)
    centroids[:found] = total / torch.from_numpy(np.bincount(label)).double()[:, None]
    for _ in range(_LLOYD_ROUNDS):
        nearest = (centroids.square().sum(1) - 2 * x @ centroids.T).argmin(1)
        total = torch.zeros_like(centroids).index_add_(0, nearest, x)
        size = torch.bincount(nearest, minlength=count).double()[:, None]
        centroids = torch.where(size > 0, total / size.clamp_min(1), centroids)
    return centroids
