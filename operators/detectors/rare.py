"""``rare/1``: the level of a ratio whose hits are rare, by counting them over 8, 32 and 128 windows.

A normal score of one window says little where most windows have no hit. Here hits and trials are summed over
a span of windows and judged by the negative binomial that all windows outside the span predict. Sums fade
instead of ending: since exp(t w) - 1 <= w (exp(t) - 1) for weights w in [0, 1], a fading sum has lighter
tails than the count over a span of the same weight, so the count's tail is a bound.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc

from operators.columns import Field, Rows
from operators.detectors.channel import VALUE_TAIL, Channel, Detector, Floats, Window

SPANS = np.array([[8.0], [32.0], [128.0]], np.float32)
#: Windows the reference remembers; hits that one window counts for at most beyond its usual ones.
_MEMORY, _MOST = 4000.0, 1.0
#: Squared relative error that any ratio wanders by, and the squared expected hits this is worth.
_WANDER, _WORTH = 0.1, 200.0
#: Expected hits from which a span may be low; hits that must be recent for a longer span to speak.
_LOW_FROM, _RECENT = 10.0, 0.3
#: Event rate below which a row is not calm, few as its hits are.
_BUSY = 1e-3


class Rare(Detector):
    """Hits of a span against those of all windows outside it, both tails.

    What fades out of the longest span enters the reference, so that is about 128 windows late, and nothing
    does while the row is odd. How far the ratio wanders, as a share of itself, is learnt for each span apart.
    """

    id = "rare/1"
    summary = "a ratio of trials whose hits are rare, over 8, 32 and 128 windows"
    rates = True
    counted = True
    fields = (
        Field("rare_hits", 3),
        Field("rare_trials", 3),
        Field("rare_known_hits"),
        Field("rare_known_trials"),
        Field("rare_excess", 3),
        Field("rare_energy", 3),
    )
    channels = (
        Channel("rare+", +1, 1.0, VALUE_TAIL, gap=0, clusters=0),
        Channel("rare-", -1, 1.0, VALUE_TAIL, gap=0, clusters=0),
    )

    def start(self, state: Rows, rows: NDArray[np.int64], sd: Floats) -> None:
        """See `Detector.start`: the last windows are the reference."""
        state["rare_known_hits"][rows] = state["late_hits"][rows]
        state["rare_known_trials"][rows] = state["late_trials"][rows]
        state["rare_hits"][:, rows] = state["rare_trials"][:, rows] = 0.0

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        rates = np.ones((2, len(window.z)))
        known = ~np.isnan(window.hits)
        if not known.any():
            return rates
        some = np.flatnonzero(known & (window.trials > 0))
        if not some.size:
            return rates
        hits, trials = state["rare_hits"], state["rare_trials"]
        leaving = np.stack((hits[2, some], trials[2, some])) / SPANS[2]
        known_hits = state["rare_known_hits"][some] + hits[2, some]
        known_trials = state["rare_known_trials"][some] + trials[2, some]
        ratio = (known_hits + 0.5) / (known_trials + 1.0)
        usual = ratio * window.trials[some]
        counted = np.minimum(window.hits[some], _MOST + usual + 3 * np.sqrt(usual))
        hits[:, some] += counted - hits[:, some] / SPANS
        trials[:, some] += window.trials[some] - trials[:, some] / SPANS

        seen, tried = hits[:, some], trials[:, some]
        reference = state["rare_known_hits"][some] + seen[2] - seen + 0.5
        outside = state["rare_known_trials"][some] + trials[2, some] - tried
        expected = reference * tried / np.maximum(outside, 1.0)
        wander = (_WORTH * _WANDER + state["rare_excess"][:, some]) / (_WORTH + state["rare_energy"][:, some])
        shape = 1.0 / (1.0 / reference + np.maximum(wander, _WANDER))
        off, spread = (seen - expected) ** 2, expected / 2 + expected**2 / shape
        odd = (off > 4 * spread) & (outside > 0)
        recent = np.concatenate((seen[:1], seen[:2])) >= _RECENT
        above, below = np.ones(seen.shape), np.ones(seen.shape)
        for out, tail, more, places in (
            (above, betainc, 0.0, odd & recent & (seen > expected + 1)),
            (below, betaincc, 1.0, odd & (seen < expected) & (expected > _LOW_FROM)),
        ):
            if places.any():
                share = expected[places] / (expected[places] + shape[places])
                slope = 1.0 + off[places] / (2 * spread[places] + seen[places])
                span = np.broadcast_to(SPANS, places.shape)[places]
                out[places] = tail(seen[places] + more, shape[places], share) * slope / span
        rates[0, some], rates[1, some] = np.minimum(above.min(0), 1.0), np.minimum(below.min(0), 1.0)
        window.scratch["busy"] = np.maximum(window.scratch.get("busy", 0.0), rates[0] < _BUSY)
        excess = np.minimum(off, 9.0 * spread + 1.0) - expected / 2 - expected**2 / reference
        window.scratch["rare"] = np.vstack((some, leaving, excess, expected**2))
        return rates

    def learn(self, state: Rows, window: Window) -> None:
        """See `Detector.learn`."""
        stash = window.scratch.get("rare")
        if stash is None:
            return
        some = stash[0].astype(np.int64)
        weight = window.learn[some]
        forget = 1.0 - weight / _MEMORY
        state["rare_known_hits"][some] = (state["rare_known_hits"][some] + weight * stash[1]) * forget
        state["rare_known_trials"][some] = (state["rare_known_trials"][some] + weight * stash[2]) * forget
        given = window.active[some]
        for name, part in (("rare_excess", stash[3:6]), ("rare_energy", stash[6:])):
            state[name][:, some] = (state[name][:, some] + given * part) * (1.0 - given / _MEMORY)
