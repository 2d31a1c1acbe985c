"""How far a row is from its peers at the same window, against how far it usually is."""

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import DRIFT_TAIL, Channel, Detector, Floats, Window, own_scale

#: Lines of `Window.beside`.
SIBLINGS, CONTRAST = 0, 1
#: Windows of the moving average; those a row must have been compared for; memory of level and scale.
SPAN, _FROM, _MEMORY = 8.0, 60.0, 1000.0
_THEORY = 1 / SPAN / (2 - 1 / SPAN)
#: Deviations that one window counts for at most.
_CLIP = 3.0
#: Mean of the last windows above which the row is not calm, whatever it does itself.
_BUSY = 1.0


#: Level and deviation of the difference, windows compared, moving average and the sum of its squares.
PARTS = ("level", "sd", "seen", "mean", "squares")


def fields(name: str) -> tuple[Field, ...]:
    """State of one comparison."""
    return tuple(Field(f"{name}_{part}") for part in PARTS)


def channels(name: str) -> tuple[Channel, ...]:
    """Two sides of the moving average."""
    return tuple(
        Channel(f"{name}{sign}", side, 0.06, DRIFT_TAIL, gap=16, clusters=0.012, after=64, full_day=True)
        for sign, side in (("+", 1), ("-", -1))
    )


class Beside(Detector):
    """A moving average of clipped differences, over its own running deviation.

    Peers that were never alike differ widely from window to window, so the same difference weighs little.
    """

    name: str
    line: int

    def start(self, state: Rows, rows: NDArray[np.int64], sd: Floats) -> None:
        """See `Detector.start`: what is usual is learnt anew."""
        for part in PARTS:
            state[f"{self.name}_{part}"][rows] = 0.0

    def observe(self, state: Rows, window: Window) -> Floats:
        """See `Detector.observe`."""
        out = np.zeros((2, len(window.z)))
        if window.beside is None:
            return out
        difference = window.beside[self.line]
        some = np.flatnonzero(window.active & np.isfinite(difference))
        if not some.size:
            return out
        seen, mean = state[f"{self.name}_seen"][some], state[f"{self.name}_mean"][some]
        off = difference[some] - state[f"{self.name}_level"][some]
        off = np.where(seen > 0, off, 0.0)
        sd = state[f"{self.name}_sd"][some]
        z = np.minimum(np.maximum(off / np.maximum(sd, 1e-30), -_CLIP), _CLIP)
        known = seen >= _FROM
        mean = np.where(known, mean + (z - mean) / SPAN, 0.0)
        state[f"{self.name}_mean"][some] = mean
        prior = _THEORY + 1.0 / np.minimum(seen + 1.0, _MEMORY)
        mapped, variance = own_scale(
            mean[None],
            state[f"{self.name}_squares"][some][None],
            np.maximum(seen - _FROM, 0.0),
            prior[None],
            np.array([[2 * SPAN]]),
            np.array([[10.0]]),
        )
        short = np.maximum(variance[0], 0.8 * prior)
        out[0, some] = mapped[0] * variance[0] / short
        out[1] = -out[0]
        busy = window.scratch.setdefault("busy", np.zeros(len(window.z), "f4"))
        busy[some] = np.maximum(busy[some], np.abs(mean) > _BUSY)
        window.scratch[self.name] = np.vstack((some, difference[some], off, short))
        return out

    def learn(self, state: Rows, window: Window) -> None:
        """See `Detector.learn`."""
        stash = window.scratch.get(self.name)
        if stash is None:
            return
        some, (difference, off, short) = stash[0].astype(np.int64), stash[1:]
        weight = window.learn[some]
        level, sd, seen = (state[f"{self.name}_{part}"] for part in ("level", "sd", "seen"))
        first = (seen[some] == 0) & (weight > 0)
        usual = np.where(seen[some] > 1, 4 * sd[some], np.inf)
        gain = weight / np.minimum(seen[some] + 1.0, _MEMORY)
        moved = level[some] + gain * np.minimum(np.maximum(off, -usual), usual)
        level[some] = np.where(first, difference, moved)
        var = sd[some] ** 2
        square = np.minimum(off**2, np.where(seen[some] > 10, 9.0 * 1.005 * var, np.inf))
        sd[some] = np.sqrt(np.maximum(var + gain * (square * 1.005 - var), 1e-24 * level[some] ** 2))
        squares, known = state[f"{self.name}_squares"], weight * (seen[some] >= _FROM)
        mean = state[f"{self.name}_mean"][some]
        squares[some] = (squares[some] + known * np.minimum(mean**2, 16.0 * short)) * (1.0 - known / 4000.0)
        seen[some] += weight

    def settle(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """See `Detector.settle`."""
        state[f"{self.name}_mean"][rows] = 0.0
