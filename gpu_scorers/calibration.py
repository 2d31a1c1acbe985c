"""Parametric p-values to calibrated ones, families of scorers to one p-value each.

Null values are held-out reference buckets pooled over series. They are joined by a shipped prior (so many
pseudo-values of a wider distribution than the theory's), which decides alone where nothing is known yet and
fades as held-out values come in. Beyond the 95 % point a tail of -ln p decides that is exponential at first
and never lighter than the theory's. The values of one reference share its luck, so many values tell little
of the rare: the tail is that predicted from 15 of them, heavier the farther out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gpu_scorers.scores import FAMILIES, SCORERS, budget_shares
from gpu_scorers.tails import SMALLEST, cauchy, from_cauchy, to_cauchy

#: Pseudo-values of the prior.
PRIOR_VALUES = 60
#: How much wider than the theory's the prior is: its -ln p is exponential with mean 1.05 for independent
#: vectors, and so much more for each tenfold length of the runs that topics come in.
_WIDER = 0.4
_TAIL = 0.05
_TAIL_WEIGHT = 30.0
#: Independent values that the mean excess over the 95 % point counts as known from.
_TAIL_KNOWN = 15.0
_FAMILY_OF = [scorer.family for scorer in SCORERS]
#: Scorers of each family, which stand side by side.
_MEMBERS = [
    slice(first, first + _FAMILY_OF.count(family))
    for family, first in ((family, _FAMILY_OF.index(family)) for family in FAMILIES)
]


@dataclass(frozen=True)
class _Curves:
    """Null distributions of z = -ln p of several scorers or families, one a row."""

    sorted: Tensor
    start: Tensor
    mass: float
    excess: Tensor

    @classmethod
    def fit(cls, z: Tensor, scale: float) -> "_Curves":
        """From null values, f64 [curves, values]."""
        prior = -scale * torch.log((torch.arange(PRIOR_VALUES).double() + 0.5) / PRIOR_VALUES)
        every = torch.cat([z, prior.expand(len(z), -1)], 1).sort(1).values
        count = max(int(every.shape[1] * _TAIL), 3)
        start = every[:, -count - 1, None]
        beyond = every[:, -count:] - start
        excess = (_TAIL_WEIGHT * scale + beyond.sum(1, keepdim=True)) / (_TAIL_WEIGHT + count)
        return cls(every, start, count / every.shape[1], excess.clamp_min(1.0))

    def __call__(self, z: Tensor) -> Tensor:
        """P-values of f64 [curves, values]."""
        size = self.sorted.shape[1]
        rank = (size - torch.searchsorted(self.sorted, z.contiguous())).double() + 0.5
        body = (rank / (size + 0.5)).clamp(self.mass, 1.0)
        beyond = (z - self.start).clamp_min(0) / self.excess
        tail = self.mass * (1 + beyond / _TAIL_KNOWN) ** -_TAIL_KNOWN
        return torch.where(z > self.start, tail, body).clamp(SMALLEST, 1.0)


@dataclass(frozen=True)
class Verdict:
    """Calibrated windows; behind the families stands each sentinel.

    Attributes:
        p: f64 [series, families].
        leading: int64 [series, families], the family's scorer with the smallest p-value.
        each: f64 [series, scorers].
    """

    p: Tensor
    leading: Tensor
    each: Tensor

    @property
    def together(self) -> Tensor:
        """f64 [series]: one p-value of all families, each with its share."""
        shares = budget_shares(self.p.shape[1] - len(FAMILIES))
        return cauchy(self.p, shares=torch.tensor(shares, dtype=torch.float64))


class Calibration:
    """The null distributions of a class of series.

    Attributes:
        values: Held-out null values behind each curve, the prior's not counted.
    """

    def __init__(
        self,
        null: Tensor | None = None,
        effective: float = 0.1,
        wider: float = 1.0,
        sentinels: Tensor | None = None,
    ) -> None:
        """Fit the curves.

        Args:
            null: f64 [values, scorers], held-out parametric p-values pooled over series; None: prior alone.
            effective: Effective over counted vectors of the class of series; unknown: sessions.
            wider: How much wider yet the prior is: for windows longer than any that were held out.
            sentinels: f64 [values, sentinels], theirs; None: there are none.
        """
        if null is None:
            null = torch.empty(0, len(SCORERS), dtype=torch.float64)
        self.values = len(null)
        z = _z(null)
        runs = 0.5 / max(effective, 1e-4) + 0.5
        scale = wider * (1.05 + _WIDER * max(math.log10(runs), 0.0))
        self._scorers = _Curves.fit(z, scale)
        self._families = _Curves.fit(_together(self._scorers(z)), 1.1)
        self._sentinels = None if sentinels is None else _Curves.fit(_z(sentinels), scale)

    @torch.inference_mode()
    def __call__(self, p: Tensor) -> Verdict:
        """Calibrate parametric p-values, f64 [series, scorers]."""
        z = _z(p)
        each = self._scorers(z[: len(SCORERS)])
        together = iter(self._families(_together(each)))
        families, leading = [], []
        for members in _MEMBERS:
            own = each[members]
            families.append(own[0] if len(own) == 1 else next(together))
            leading.append(own.argmin(0) + members.start)
        if self._sentinels is not None:
            near = self._sentinels(z[len(SCORERS) :])
            families.extend(near)
            leading.extend(torch.full_like(leading[0], len(SCORERS) + place) for place in range(len(near)))
            each = torch.cat([each, near])
        return Verdict(torch.stack(families, 1), torch.stack(leading, 1), each.T)

    def families(self, p: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """`__call__` for numpy: calibrated p-values and leading scorers, [series, families] each."""
        verdict = self(torch.from_numpy(p))
        return verdict.p.numpy(), verdict.leading.numpy()

    @property
    def dominant(self) -> bool:
        """Whether held-out values outweigh the prior."""
        return self.values >= PRIOR_VALUES

    @classmethod
    def pooled(
        cls,
        null: Sequence[npt.NDArray[np.float64]],
        effective: float,
        wider: float = 1.0,
        sentinels: Sequence[npt.NDArray[np.float64]] = (),
    ) -> "Calibration":
        """From null values of several sources, [values, scorers] each, and their usual ``effective``.

        ``sentinels``: [values, sentinels] each, of those that have the same ones.
        """
        values, near = (
            torch.from_numpy(np.concatenate(some)) if some else None for some in (null, sentinels)
        )
        return cls(values, effective, wider, near)


def _z(p: Tensor) -> Tensor:
    """-ln of p-values, [values, scorers] to [scorers, values]."""
    return -p.cpu().clamp(SMALLEST, 1.0).log().T


def _together(each: Tensor) -> Tensor:
    """-ln of the combined p-values of every family of several scorers; f64 [scorers, n] to [families, n]."""
    t = to_cauchy(each)
    several = [t[members] for members in _MEMBERS if members.stop - members.start > 1]
    return -from_cauchy(torch.stack([each.mean(0) for each in several])).log()
