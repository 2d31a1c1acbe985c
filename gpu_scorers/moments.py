"""Means of a window against means of reference buckets: pseudo-F over a block, largest t^2 over coordinates.

The null variance is that of the bucket means, so that dependence within a bucket (sessions, runs of one
topic) is priced in. Box's approximation with effective degrees of freedom; the bucket covariance is only
ever seen through its Gram matrix (buckets x buckets).
"""

import torch
from scipy.special import polygamma
from torch import Tensor

Model = dict[str, Tensor]
#: Coordinates quieter than this share of the usual variance say nothing about how much variances differ.
_QUIETEST = 0.01
#: Variances of log variances are never taken to differ less than this: the prior is worth some 100 buckets.
_ALIKE = 0.02


def fit(mean: Tensor, n: Tensor, within: Tensor | None = None) -> Model:
    """Model of one block of the reference, all per series.

    Args:
        mean: f64 [series, buckets, width], bucket means; at least 4 buckets.
        n: f64 [series, buckets], their vectors.
        within: f64 [series], the variance (trace) of single vectors where it is known. With it a window
            larger than the buckets keeps a floor of what lies between them.

    Returns:
        ``centre`` [series, width] and, [series, 1] each: ``trace`` (n times the variance of a bucket mean),
        ``directions`` (their effective number), ``dof``, ``inflation`` (of the reference mean's variance by
        dependence between buckets), ``total`` (vectors), ``usual`` (bucket size), ``intra`` (intra-class
        correlation), ``within``.
    """
    buckets, width = mean.shape[1:]
    total = n.sum(1)
    usual = (total - n.square().sum(1) / total) / (buckets - 1)
    centre = (mean * (n / total[:, None])[..., None]).sum(1)
    spread = (mean - centre[:, None]) * n.sqrt()[..., None]
    gram = spread @ spread.transpose(1, 2)
    diagonal = torch.diagonal(gram, dim1=1, dim2=2)
    free = buckets - 1.0
    trace = (diagonal.sum(1) / free).clamp_min(1e-30)
    square = gram.square().sum((1, 2)) / free**2
    square = free**2 / ((free - 1) * (free + 2)) * (square - trace.square() / free)
    square = torch.minimum(square.clamp_min(trace.square() / min(width, 20 * buckets)), trace.square())
    directions = trace.square() / square
    lags = max(1, min(4, buckets // 6))
    lagged = torch.stack(
        [torch.diagonal(gram, k, 1, 2).sum(1) / (buckets - k) for k in range(1, lags + 1)], 1
    )
    serial = lagged / (diagonal.sum(1) / buckets).clamp_min(1e-30)[:, None] + 1.0 / buckets
    serial = serial.clamp(0, 0.95)
    serial = serial * (serial > 2 / (buckets * directions[:, None]).sqrt()).double().cumprod(1)
    inflation = 1 + 2 * serial.sum(1)
    effective = (buckets / (1 + 2 * serial.square().sum(1))).clamp_min(3.0)
    trace = trace * (free / (buckets - inflation).clamp_min(1.0))
    if within is None:
        within = torch.full_like(trace, torch.nan)
        intra = torch.zeros_like(trace)
    else:
        intra = ((trace - within) / (trace + (usual - 1) * within)).clamp(0, 1)
    scalars = {
        "trace": trace,
        "directions": directions,
        "dof": effective - 1,
        "inflation": inflation,
        "total": total,
        "usual": usual,
        "intra": intra,
        "within": within,
    }
    return {"centre": centre, **{name: value[:, None] for name, value in scalars.items()}}


def overall(mean: Tensor, n: Tensor) -> Tensor:
    """Mean over all vectors, [series, width], of bucket means [series, buckets, width]."""
    return (mean * (n / n.sum(1, keepdim=True))[..., None]).sum(1)


def follow(model: Model, mean: Tensor, n: Tensor) -> Model:
    """The same scatter about another centre: means [series, width] of ``n`` vectors [series]."""
    return {**model, "centre": mean, "total": n[:, None]}


def variance(model: Model, n: Tensor, unusual: Tensor) -> Tensor:
    """f64 [series]: variance (trace) of a window's mean less the reference's.

    Args:
        model: Of the reference.
        n: f64 [series], vectors of the windows.
        unusual: f64 [series], at least 1: how much more the windows' topic mix differs from the reference's
            than the buckets' do. What the mix leaves in a mean grows with it.
    """
    names = ("trace", "inflation", "usual", "intra", "within", "total")
    trace, inflation, usual, intra, within, total = (model[name].squeeze(-1) for name in names)
    own = trace / n * (1 + (inflation - 1) * (1 - usual / n).clamp_min(0))
    floor = intra * trace / usual + (1 - intra) * within / n
    own = torch.where(floor > own, floor, own) * unusual
    return (own + inflation * trace / total).clamp_min(1e-30)


def pseudo_f(model: Model, mean: Tensor, n: Tensor, unusual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Statistic and its two degrees of freedom, f64 [series] each, of windows with means [series, width]."""
    apart = (mean - model["centre"]).square().sum(-1)
    directions = model["directions"].squeeze(-1)
    return apart / variance(model, n, unusual), directions, directions * model["dof"].squeeze(-1)


def coordinate_spread(mean: Tensor, n: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Each coordinate's variance between buckets, moderated (Smyth 2004).

    The less the coordinates' variances differ beyond chance, the more each leans on the mean of all.

    Returns:
        The variance, f64 [series, width], and how many times surer it is than from the buckets alone,
        f64 [series, 1].
    """
    free = mean.shape[1] - 1
    own = ((mean - centre[:, None]).square() * n[..., None]).sum(1) / free
    usual = own.mean(-1, keepdim=True) + 1e-30
    by_chance = float(polygamma(1, free / 2))
    differ = own.maximum(_QUIETEST * usual).log().var(-1, keepdim=True) - by_chance
    differ = differ.clamp_min(_ALIKE)
    # trigamma(x) is about 1/x + 1/(2 x^2), solved for x
    prior = ((1 + (1 + 2 * differ).sqrt()) / differ).clamp_min(0.1 * free)
    return (free * own + prior * usual) / (free + prior), 1 + prior / free


def largest_t2(model: Model, mean: Tensor, n: Tensor, unusual: Tensor) -> tuple[Tensor, Tensor]:
    """Largest squared t over the coordinates and its degrees of freedom, f64 [series] each."""
    scale = (variance(model, n, unusual) / model["trace"].squeeze(-1))[:, None]
    t2 = (mean - model["centre"]).square() / (model["spread"] * scale)
    return t2.amax(-1), (model["dof"] * model["surer"]).squeeze(-1)
