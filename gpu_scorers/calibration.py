"""Parametric p-values to calibrated ones, families of scorers to one p-value each.

Null values are held-out reference buckets pooled over series. They are joined by a shipped prior (so many
pseudo-values of a wider distribution than the theory's), which decides alone where nothing is known yet and
fades as held-out values come in. Beyond the 95 % point an exponential tail of -ln p decides, never a lighter
one than the theory's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gpu_scorers.scores import FAMILIES, SCORERS
from gpu_scorers.tails import SMALLEST, cauchy

#: Pseudo-values of the prior, and how much wider than the theory's they are: -ln p is exponential with this
#: mean. Measured on topics that come in runs (`benchmarks.embedding`): a lone series is held to sessions.
PRIOR_VALUES = 60
PRIOR_SCALE = {"mean": 1.5, "mix": 1.5, "spread": 1.7, "tails": 1.4, "repeats": 1.4}
_TAIL = 0.05
_TAIL_WEIGHT = 30.0


@dataclass(frozen=True)
class _Curve:
    """Null distribution of z = -ln p of one scorer or family."""

    sorted: Tensor
    start: Tensor
    mass: float
    excess: Tensor

    @classmethod
    def fit(cls, z: Tensor, scale: float) -> "_Curve":
        prior = -scale * torch.log((torch.arange(PRIOR_VALUES).double() + 0.5) / PRIOR_VALUES)
        every = torch.cat([z.cpu(), prior]).sort().values
        count = max(int(len(every) * _TAIL), 3)
        start = every[-count - 1]
        beyond = every[-count:] - start
        excess = (_TAIL_WEIGHT * scale + beyond.sum()) / (_TAIL_WEIGHT + count)
        return cls(every, start, count / len(every), excess.clamp_min(1.0))

    def __call__(self, z: Tensor) -> Tensor:
        z = z.cpu()
        rank = (len(self.sorted) - torch.searchsorted(self.sorted, z.contiguous())).double() + 0.5
        body = (rank / (len(self.sorted) + 0.5)).clamp(self.mass, 1.0)
        tail = self.mass * torch.exp(-(z - self.start).clamp_min(0) / self.excess)
        return torch.where(z > self.start, tail, body).clamp(SMALLEST, 1.0)


@dataclass(frozen=True)
class Verdict:
    """Calibrated windows.

    Attributes:
        p: f64 [series, families].
        leading: int64 [series, families], the family's scorer with the smallest p-value.
        each: f64 [series, scorers].
    """

    p: Tensor
    leading: Tensor
    each: Tensor


class Calibration:
    """The null distributions of a class of series.

    Attributes:
        values: Held-out null values behind each curve, the prior's not counted.
    """

    def __init__(self, null: Tensor | None = None) -> None:
        """Fit the curves.

        Args:
            null: f64 [values, scorers], held-out parametric p-values pooled over series; None: prior alone.
        """
        if null is None:
            null = torch.empty(0, len(SCORERS), dtype=torch.float64)
        self.values = len(null)
        z = -null.cpu().clamp(SMALLEST, 1.0).log()
        self._scorers = [_Curve.fit(z[:, i], PRIOR_SCALE[s.family]) for i, s in enumerate(SCORERS)]
        calibrated = self._each(z)
        self._members = [[i for i, s in enumerate(SCORERS) if s.family == family] for family in FAMILIES]
        self._families = [
            _Curve.fit(-cauchy(calibrated[:, members]).log(), 1.1) if len(members) > 1 else None
            for members in self._members
        ]

    def __call__(self, p: Tensor) -> Verdict:
        """Calibrate parametric p-values, f64 [series, scorers]."""
        each = self._each(-p.clamp(SMALLEST, 1.0).log())
        families, leading = [], []
        for members, curve in zip(self._members, self._families, strict=True):
            own = each[:, members]
            families.append(own[:, 0] if curve is None else curve(-cauchy(own).log()))
            leading.append(torch.tensor(members)[own.argmin(1)])
        return Verdict(torch.stack(families, 1), torch.stack(leading, 1), each)

    def _each(self, z: Tensor) -> Tensor:
        columns = [curve(z[:, i]) for i, curve in enumerate(self._scorers)]
        return torch.stack(columns, 1)

    def families(self, p: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """`__call__` for numpy: calibrated p-values and leading scorers, [series, families] each."""
        verdict = self(torch.from_numpy(p))
        return verdict.p.numpy(), verdict.leading.numpy()

    @property
    def dominant(self) -> bool:
        """Whether held-out values outweigh the prior."""
        return self.values >= PRIOR_VALUES

    @classmethod
    def pooled(cls, null: Sequence[npt.NDArray[np.float64]]) -> "Calibration":
        """From held-out values of several series, [buckets, scorers] each."""
        return cls(torch.from_numpy(np.concatenate(null))) if null else cls()
