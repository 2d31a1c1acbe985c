"""A scorer: a model of the reference and a test of windows against it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from gpu_scorers.view import View

Family = Literal["mean", "mix", "spread", "tails", "repeats", "sentinel"]
#: Families in the order of every array of family p-values; behind them each sentinel is one of its own.
FAMILIES: tuple[Family, ...] = ("mean", "mix", "spread", "tails", "repeats")
#: Shares of a series' alarm budget, by family; the mix has a verdict and a small share of its own.
FAMILY_SHARE: dict[Family, float] = {"mean": 0.35, "mix": 0.1, "spread": 0.2, "tails": 0.15, "repeats": 0.2}
#: Share of all sentinels together, where there are some; the families' shrink by it.
SENTINEL_SHARE = 0.15
Model = dict[str, Tensor]


def budget_shares(sentinels: int = 0) -> tuple[float, ...]:
    """Shares of a series' alarm budget: of the families, and of so many sentinels."""
    shares = [FAMILY_SHARE[family] for family in FAMILIES]
    if not sentinels:
        return (*shares,)
    each = SENTINEL_SHARE / sentinels
    return (*(share * (1 - SENTINEL_SHARE) for share in shares), *[each] * sentinels)


@dataclass(frozen=True)
class Tested:
    """What a scorer says of windows, f64 [series]: parametric ``p``, a value, and what was expected of it."""

    p: Tensor
    observed: Tensor
    expected: Tensor


@dataclass(frozen=True)
class Scorer:
    """One scorer.

    Attributes:
        name: With ``version`` the detector id; unique but for sentinels, which share one.
        version: Raised whenever the same windows could score otherwise.
        family: Scorers that see the same kind of change are combined first.
        model: From the reference, a `View` of [series, buckets], to tensors of [series, width] each.
        test: From the model, a `View` of [series] windows and how unusual what was asked (and, but for the
            mix itself, their mix) is (f64 [series], at least 1) to p-values.
        follow: The model about where the series has been of late, a `View` of [series].
    """

    name: str
    version: int
    family: Family
    model: Callable[[View], Model]
    test: Callable[[Model, View, Tensor], Tested]
    follow: Callable[[Model, View], Model]

    @property
    def id(self) -> str:
        """``name/version``."""
        return f"{self.name}/{self.version}"
