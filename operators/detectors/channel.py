"""What a detector is to the bank: channels of continuous statistics over the residuals of closed windows.

A channel is one side of one statistic. Its tail is learnt per series (`operators.detection.tails`), so a
statistic needs no known distribution: only to grow with the anomaly and to be roughly exponential in its
tail.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows

Floats = NDArray[np.floating[Any]]


class TailPrior(NamedTuple):
    """What a channel's tail is taken for before the series has shown its own.

    ``quantile``: share of windows above the tail's threshold; ``start``: that threshold at first;
    ``sigma``, ``xi``: generalised Pareto scale and shape, worth ``sigma_peaks`` and ``xi_peaks`` observed
    peaks; ``cap``: event rate at which learnt peaks are clipped, so that anomalies do not bend the tail;
    ``doubt_peaks``: peaks by which the shape is known at first, beside those observed, and ``thin_peaks``: as
    many more where residuals have no tails: the fewer, the heavier the tail may yet turn out;
    ``bulk``: the prior is read from the series' own bulk quantiles instead; ``sum``: it is of averages of
    residuals, which theory knows where those are white and thin.
    """

    quantile: float
    start: float
    sigma: float
    xi: float
    cap: float
    sigma_peaks: float = 10.0
    xi_peaks: float = 30.0
    doubt_peaks: float = 30.0
    thin_peaks: float = 0.0
    sigma_min: float = 0.8
    start_min: float = 0.5
    xi_min: float = -0.03
    bulk: bool = False
    sum: bool = False


#: Single values: Gaussian to heavy; the bulk of the series says which.
VALUE_TAIL = TailPrior(
    0.02,
    2.05,
    0.45,
    0.05,
    1e-4,
    30.0,
    80.0,
    doubt_peaks=15.0,
    sigma_min=0.15,
    start_min=0.8,
    xi_min=-0.12,
    bulk=True,
)
#: Averages of clipped residuals, mapped by u -> u|u|/2: exponential.
DRIFT_TAIL = TailPrior(0.05, 1.353, 1.1, 0.0, 1e-5)


class Channel(NamedTuple):
    """One side of one statistic.

    ``direction``: +1 high, -1 low, 0 neither; ``weight``: its share of the alarm budget before normalising;
    ``gap``: windows below the threshold that end a cluster of peaks; ``clusters``: expected clusters a
    window; ``after``: windows a series must be old before the channel speaks; ``full_day``: and a day (or
    400 windows).
    """

    name: str
    direction: int
    weight: float
    tail: TailPrior
    gap: float
    clusters: float
    after: int = 0
    full_day: bool = False


@dataclass(slots=True)
class Window:
    """What the baseline says of one closed window, [n] each; ``z`` is 0 where ``active`` is false.

    ``value``: as it came; ``same``, ``moved``: it repeated the last one, or changed; ``step``: what it is
    coarse to, 0 where it is fine; ``y``: on the working scale; ``deviation``: y less seasonal pattern and
    slow level; ``base``: the scale before what this time of day adds; ``learn``: 1 where baselines may learn
    from this window (filled in after the decision); ``hits``, ``trials``: of a ratio of trials, NaN where
    they are not known; ``scratch``: what `Detector.observe` hands to others;
    ``chosen``: by detector that does not run on all rows, where it does; ``beside``: what
    `operators.detection.peers` gave.
    """

    value: Floats
    active: NDArray[np.bool_]
    same: NDArray[np.bool_]
    moved: NDArray[np.bool_]
    step: Floats
    y: Floats
    predicted: Floats
    sd: Floats
    base: Floats
    z: Floats
    clipped: Floats
    deviation: Floats
    learn: Floats
    hits: Floats
    trials: Floats
    scratch: dict[str, Floats] = field(default_factory=dict)
    chosen: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    beside: Floats | None = None


class Detector:
    """A vectorised detector: state fields, channels, and what it does with a window.

    ``rates``: `observe` gives event rates (1 = ordinary) rather than statistics whose tail is to be learnt;
    ``counted``: those follow from counts by a law that knows how short the history is; ``line``: the line of
    ``Window.beside`` without which it has nothing to say, and takes no share of the budget.
    """

    id: str
    summary: str
    fields: Sequence[Field] = ()
    channels: Sequence[Channel] = ()
    rates: bool = False
    counted: bool = False
    line: int | None = None

    def start(self, state: Rows, rows: NDArray[np.int64], sd: Floats) -> None:
        """Begin on ``rows`` (indices into the block), whose residual scale is taken to be ``sd``."""

    def observe(self, state: Rows, window: Window) -> Floats:
        """Statistics of this window, [channels, n]; may update state that must see every active window."""
        raise NotImplementedError

    def learn(self, state: Rows, window: Window) -> None:
        """Update what is learnt about ordinary windows, weighted by ``window.learn``."""

    def settle(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """Forget the episode that has just ended on ``rows`` (indices into the block)."""

    def keep(self, state: Rows) -> None:
        """Forget what is kept beside the fields of rows that are not in ``state``: they were let go."""

    def dump(self) -> bytes:
        """State beside the fields, for the snapshot."""
        return b""

    def load(self, data: bytes) -> None:
        """Take back what `dump` gave."""


def own_scale(
    raw: Floats, squares: Floats, seen: Floats, prior: Floats, span: Floats, worth: Floats
) -> tuple[Floats, Floats]:
    """Divide a moving average by its own running deviation; map it so that its tail is exponential.

    Args:
        raw: statistics, [k, n].
        squares: decayed sums of their squares, [k, n].
        seen: decayed count of the windows in those sums, [n].
        prior: theoretical variances, [k, n] or [k, 1].
        span: windows that make one independent observation, [k, 1].
        worth: independent observations the prior counts for, [k, 1].

    Returns:
        The mapped statistics and the variances used, both [k, n].
    """
    variance = (worth * prior + squares / span) / (worth + seen / span)
    standard = raw / np.sqrt(variance)
    return standard * np.abs(standard) * 0.5, variance
