"""Counts of a window against counts of reference buckets: the gamma-Poisson predictive upper tail.

A coordinate never seen in the reference still has half an event of prior; a coordinate whose counts come in
clumps (sessions) is divided by its dispersion first, so that a run counts as one event. Where something leads
one to expect other shares in a window than in the reference, its exposure grows or shrinks by as much.
"""

import torch
from torch import Tensor

from gpu_scorers.tails import gamma_poisson_tail

Model = dict[str, Tensor]
#: The exact tail is taken of so many most extreme coordinates.
_EXACT = 4
#: Expected shares are compared after a tenth of the reference's own and this much were added to both.
_BLUNT = 1e-4


def fit(count: Tensor, n: Tensor, usual: Tensor | None = None, clump: Tensor | None = None) -> Model:
    """Model of one block of counts.

    Args:
        count: f64 [series, buckets, width].
        n: f64 [series, buckets], vectors of the buckets.
        usual: f64 [series, buckets, width], shares expected in each bucket; None: always the same.
        clump: f64 [series], dispersion that every coordinate has at least.

    Returns:
        ``seen``, ``usual`` and ``dispersion`` [series, width], ``total`` [series, 1].
    """
    total = n.sum(1)
    seen = count.sum(1)
    usual = torch.zeros_like(count) if usual is None else usual
    model = {"seen": seen, "total": total[:, None], "usual": (usual * n[..., None]).sum(1) / total[:, None]}
    expected = n[..., None] * (seen / total[:, None])[:, None] * _exposure(model, usual)
    apart = (count - expected).square() / expected.clamp_min(1e-9)
    dispersion = (apart.sum(1) / (n.shape[1] - 1)).clamp_min(1.0)
    if clump is not None:
        dispersion = torch.maximum(dispersion, clump[:, None])
    return {**model, "dispersion": dispersion}


def follow(model: Model, count: Tensor, n: Tensor, usual: Tensor | None = None) -> Model:
    """The same clumps about other shares: counts and expected shares [series, width] of ``n`` vectors."""
    usual = torch.zeros_like(count) if usual is None else usual
    return {**model, "seen": count, "total": n[:, None], "usual": usual}


def _exposure(model: Model, usual: Tensor) -> Tensor:
    """How much more of each coordinate is expected than in the reference; ``usual`` [series, ..., width]."""
    shape = (len(usual), *(1 for _ in usual.shape[2:]), usual.shape[-1])
    own = model["usual"].clamp_min(0).reshape(shape)
    blunt = 0.1 * (model["seen"] / model["total"]).reshape(shape) + _BLUNT
    exposure: Tensor = (usual.clamp_min(0) + blunt) / (own + blunt)
    return exposure


def upper_tail(
    model: Model, count: Tensor, n: Tensor, usual: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Smallest upper tail over the coordinates, Bonferroni over all of them.

    Returns:
        P, and of the coordinate that decided the share observed and the one expected, f64 [series] each.
    """
    exposure = torch.ones_like(count) if usual is None else _exposure(model, usual)
    events = count / model["dispersion"]
    shape = model["seen"] / model["dispersion"] + 0.5
    prob = model["total"] / (model["total"] + n[:, None] * exposure)
    mean = shape * (1 - prob) / prob
    z = (events - mean) / (mean + mean.square() / shape).sqrt()
    top = z.topk(min(_EXACT, z.shape[-1]), -1).indices
    p, place = gamma_poisson_tail(*(t.gather(1, top) for t in (events, shape, prob))).min(-1)
    one = top.gather(1, place[:, None])
    expected = (model["seen"] / model["total"] * exposure).gather(1, one).squeeze(1)
    observed = count.gather(1, one).squeeze(1) / n
    return (p * z.shape[-1]).clamp(max=1.0), observed, expected
