"""The scorers, by family. A new one is a new file and a line here."""

from gpu_scorers.layout import Layout
from gpu_scorers.scores.mean import MAXDIR_ADJ, MMD_ADJ, WHITE_ADJ
from gpu_scorers.scores.mix import CLUS, MAXCLUS, MMD
from gpu_scorers.scores.repeats import REPEATS
from gpu_scorers.scores.scorer import FAMILIES, FAMILY_SHARE, Family, Scorer, Tested, budget_shares
from gpu_scorers.scores.sentinel import sentinel
from gpu_scorers.scores.spread import QUAD, SPREAD
from gpu_scorers.scores.tails import OUT

#: Every scorer, in the order of every array of scorer p-values; behind them come those of sentinels.
SCORERS: tuple[Scorer, ...] = (
    MMD_ADJ,
    WHITE_ADJ,
    MAXDIR_ADJ,
    MMD,
    CLUS,
    MAXCLUS,
    QUAD,
    SPREAD,
    OUT,
    REPEATS,
)


def scorers(layout: Layout) -> tuple[Scorer, ...]:
    """The scorers of a layout's sketches."""
    return (*SCORERS, *(sentinel(place) for place in range(layout.sentinels)))


__all__ = ["FAMILIES", "FAMILY_SHARE", "SCORERS", "Family", "Scorer", "Tested", "budget_shares", "scorers"]
