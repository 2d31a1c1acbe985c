"""What goes into the bank for one window, and what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

EMPIRICAL, EXTRAPOLATED, PRIOR = 0, 1, 2


@dataclass(slots=True)
class WindowValues:
    """One closed window of n rows, all [n].

    ``value``: NaN where missing; ``samples``: how many stand behind it, NaN where unknown; ``hits``: of
    ratios of trials, else NaN; ``resolution``: the step values come in, or 0.
    """

    value: NDArray[np.float64]
    samples: NDArray[np.float64]
    hits: NDArray[np.float64]
    resolution: NDArray[np.float64]

    @classmethod
    def plain(cls, value: NDArray[np.float64]) -> "WindowValues":
        """Values of which nothing more is known."""
        unknown = np.full(len(value), np.nan)
        return cls(value, unknown, unknown, np.zeros(len(value)))

    def part(self, rows: slice) -> "WindowValues":
        """The values of some rows."""
        return WindowValues(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(slots=True)
class Verdicts:
    """What the bank says of one window of n rows, all [n].

    ``score``: -log10 of the event rate, higher is more anomalous, comparable across series; ``p_value``: the
    event rate (events a window at least this odd), in (0, 1]; ``detector``: index into `Bank.detector_ids`
    of the leading one; ``expected``, ``low``, ``high``: the band within the budget, in the value's unit;
    ``direction``: +1 above what was expected, -1 below; ``calibration``: 0 empirical, 1 extrapolated, 2
    prior; ``threshold``: the score at which a row alarms.
    """

    score: NDArray[np.float64]
    p_value: NDArray[np.float64]
    alarm: NDArray[np.bool_]
    detector: NDArray[np.int16]
    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    direction: NDArray[np.int8]
    calibration: NDArray[np.int8]
    warming: NDArray[np.bool_]
    threshold: NDArray[np.float64]

    @classmethod
    def join(cls, parts: "Sequence[Verdicts]") -> "Verdicts":
        """Verdicts of consecutive blocks as one."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @classmethod
    def none(cls) -> "Verdicts":
        """Verdicts of no rows."""
        kinds = {
            "alarm": bool,
            "warming": bool,
            "detector": np.int16,
            "direction": np.int8,
            "calibration": np.int8,
        }
        return cls(*(np.zeros(0, kinds.get(field.name, np.float64)) for field in fields(cls)))
