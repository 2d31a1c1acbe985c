"""Which known series said something in each window, and for how long others have been silent.

A silence counts in windows in which the pipeline saw anything at all. It is implausible once its own learnt
rate makes it so (Poisson) and it is well beyond the longest gap the series had before; a series too sparse
for that within an hour is never missed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from operators.shard.sketches import Floats, Ints

#: What judges silences, of samples and of replicas.
DETECTOR = "absence/1"
#: Samples a silence must have cost, by the learnt rate: e**-12 is one in 160,000.
COST = 12.0
#: Windows that a silence lasts at the least.
_LEAST = 3
#: A silence must be this many times the longest gap before.
_LONGER = 2.5
#: Silences beyond this are of a series too sparse to be missed (s).
_LIMIT_S = 3600.0
#: Windows seen before a series is known.
_KNOWN = 20
#: Windows for which a series that is back is said to be well.
_CALM = 120
#: Windows over which the learnt rate forgets.
_MEMORY = 30.0
#: Windows of samples kept, to compare before with after.
RING = 24


class Presence:
    """Presence of every base of a catalogue, index by index.

    ``gone``, ``silent``, ``pages``: what `operators.shard.absence` made of a silence; ``short``, ``desired``,
    ``fell``: what `operators.shard.replicas` knows of a count of replicas.
    """

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self.window = 0
        self.last: Ints = np.zeros(0, np.int64)
        self.seen: Ints = np.zeros(0, np.int64)
        self.gap: Floats = np.zeros(0)
        self.rate: Floats = np.zeros(0)
        self.gone: npt.NDArray[np.bool_] = np.zeros(0, bool)
        self.silent: npt.NDArray[np.bool_] = np.zeros(0, bool)
        self.pages: npt.NDArray[np.bool_] = np.zeros(0, bool)
        self.calm: Ints = np.zeros(0, np.int64)
        self.short: Ints = np.zeros(0, np.int64)
        self.desired: Floats = np.zeros(0)
        self.fell: Ints = np.zeros(0, np.int64)
        self.ring: npt.NDArray[np.float32] = np.zeros((0, RING), np.float32)

    def grow(self, size: int) -> None:
        """Make room for bases up to ``size``, all of them first seen now."""
        new = size - len(self.last)
        if new <= 0:
            return
        for name, array in self.arrays().items():
            fresh = np.zeros((new, *array.shape[1:]), array.dtype)
            setattr(self, name, np.concatenate([array, fresh]))
        self.last[-new:] = self.window

    def observe(self, index: Ints, samples: Floats) -> None:
        """Count one window.

        Args:
            index: bases that said something.
            samples: how many samples each.
        """
        self.window += 1
        self.ring[:, self.window % RING] = 0
        self.ring[index, self.window % RING] = samples
        gap = self.window - self.last[index]
        keep = np.exp(-gap / _MEMORY)
        started = self.seen[index] == 0
        # a silence that was told was none of its own: it counts for as long as it took to be told
        told = np.maximum(COST / np.maximum(self.rate[index] * self.window_s, 1e-9), _LEAST)
        usual = np.minimum(gap - 1, np.maximum(told, _LONGER * self.gap[index]))
        mean = samples / (gap * self.window_s)
        learnt = self.rate[index] * keep + mean * (1 - keep)
        self.rate[index] = np.where(started, samples / self.window_s, learnt)
        self.gap[index] = np.where(started, 0, np.maximum(self.gap[index] * 0.9995, usual))
        self.last[index] = self.window
        self.seen[index] += 1
        self.calm = np.maximum(self.calm - 1, 0)
        self.calm[index[self.silent[index]]] = _CALM
        self.gone[index] = self.silent[index] = self.pages[index] = False

    def missing(self) -> npt.NDArray[np.bool_]:
        """Which bases are silent beyond what is plausible, the given-up ones included."""
        gap = (self.window - self.last).astype(np.float64)
        cost = self.rate * gap * self.window_s
        dense = self.rate * _LIMIT_S >= COST
        known = (self.seen >= _KNOWN) & dense
        lasts = (gap >= _LEAST) & (gap > _LONGER * self.gap)
        missing: npt.NDArray[np.bool_] = known & (cost >= COST) & lasts
        return missing | self.gone

    def ended(self, windows: int) -> npt.NDArray[np.bool_]:
        """Which bases have said nothing for more than ``windows``, and for well longer than ever before."""
        ended: npt.NDArray[np.bool_] = self.window - self.last > np.maximum(windows, _LONGER * self.gap)
        return ended

    def keep(self, places: Ints) -> None:
        """Let go of all bases but these, ascending."""
        self.load(self.window, {name: array[places] for name, array in self.arrays().items()})

    def samples(self, place: int, skip: int, width: int) -> float:
        """Samples of a base over ``width`` windows, ``skip`` windows ago."""
        width = min(width, RING - skip)
        steps = (self.window - skip - np.arange(max(width, 0))) % RING
        return float(self.ring[place, steps].sum())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name, for the state codec."""
        names = (
            "last",
            "seen",
            "gap",
            "rate",
            "gone",
            "silent",
            "pages",
            "calm",
            "short",
            "desired",
            "fell",
            "ring",
        )
        return {name: getattr(self, name) for name in names}

    def load(self, window: int, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take over what `arrays` gave."""
        self.window = window
        for name, array in arrays.items():
            setattr(self, name, array)
