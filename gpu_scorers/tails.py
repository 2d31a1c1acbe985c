"""Upper tails of the distributions that the scorers refer to, vectorised, and how p-values are combined."""

import math

import numpy as np
import scipy.special
import torch
from torch import Tensor

#: No p-value is taken below this: what lies beyond says nothing about rates.
SMALLEST = 1e-30


def f_tail(statistic: Tensor, df1: Tensor, df2: Tensor) -> Tensor:
    """P(F(df1, df2) >= statistic), f64, of one shape."""
    p = scipy.special.fdtrc(*(t.double().cpu().numpy() for t in (df1, df2, statistic.clamp_min(0))))
    return torch.from_numpy(np.clip(p, SMALLEST, 1.0)).to(statistic.device)


def gamma_poisson_tail(count: Tensor, shape: Tensor, prob: Tensor) -> Tensor:
    """P(NB(shape, prob) >= count), f64; counts may be fractional (divided by their dispersion)."""
    c, s, q = (t.double().cpu().numpy() for t in (count, shape, 1 - prob))
    p = np.where(c <= 0, 1.0, scipy.special.betainc(np.maximum(c, 1e-9), s, q))
    return torch.from_numpy(np.clip(p, SMALLEST, 1.0)).to(count.device)


def cauchy(p: Tensor, dim: int = -1, shares: Tensor | None = None) -> Tensor:
    """Cauchy combination (Liu and Xie 2020) of p-values, valid in the tail whatever their dependence.

    ``shares`` of each along the last dimension, summing to 1; None: equal ones.
    """
    each = to_cauchy(p)
    return from_cauchy(each.mean(dim) if shares is None else each @ shares)


def to_cauchy(p: Tensor) -> Tensor:
    """Cauchy variables of p-values; their mean is one of the combined p-value."""
    p = p.clamp(SMALLEST, 0.99)
    return torch.where(p < 1e-8, 1 / (p * math.pi), torch.tan((0.5 - p) * math.pi))


def from_cauchy(t: Tensor) -> Tensor:
    """P-values of Cauchy variables."""
    tail = torch.where(t > 1e7, 1 / (t.clamp_min(1) * math.pi), 0.5 - torch.atan(t) / math.pi)
    return tail.clamp(SMALLEST, 1.0)
