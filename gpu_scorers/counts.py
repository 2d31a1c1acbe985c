"""Counts of a window against counts of reference buckets: the gamma-Poisson predictive upper tail.

A coordinate never seen in the reference still has half an event of prior; a coordinate whose counts come in
clumps (sessions) is divided by its dispersion first, so that a run counts as one event.
"""

import torch
from torch import Tensor

from gpu_scorers.tails import gamma_poisson_tail

Model = dict[str, Tensor]
#: The exact tail is taken of so many most extreme coordinates.
_EXACT = 4


def fit(count: Tensor, n: Tensor, clump: Tensor | None = None) -> Model:
    """Model of one block of counts.

    Args:
        count: f64 [series, buckets, width].
        n: f64 [series, buckets], vectors of the buckets.
        clump: f64 [series], dispersion that every coordinate has at least.

    Returns:
        ``seen`` and ``dispersion`` [series, width], ``total`` [series, 1].
    """
    total = n.sum(1)
    seen = count.sum(1)
    expected = n[..., None] * (seen / total[:, None])[:, None]
    apart = (count - expected).square() / expected.clamp_min(1e-9)
    dispersion = (apart.sum(1) / (n.shape[1] - 1)).clamp_min(1.0)
    if clump is not None:
        dispersion = torch.maximum(dispersion, clump[:, None])
    return {"seen": seen, "dispersion": dispersion, "total": total[:, None]}


def upper_tail(model: Model, count: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest upper tail over the coordinates, Bonferroni over all of them, and which coordinate it is."""
    events = count / model["dispersion"]
    shape = model["seen"] / model["dispersion"] + 0.5
    prob = (model["total"] / (model["total"] + n[:, None])).expand_as(shape)
    mean = shape * (1 - prob) / prob
    z = (events - mean) / (mean + mean.square() / shape).sqrt()
    top = z.topk(min(_EXACT, z.shape[-1]), -1).indices
    p, place = gamma_poisson_tail(*(t.gather(1, top) for t in (events, shape, prob))).min(-1)
    return (p * z.shape[-1]).clamp(max=1.0), top.gather(1, place[:, None]).squeeze(1)
