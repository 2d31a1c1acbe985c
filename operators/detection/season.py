"""Daily and weekly profiles of a row, linearly interpolated, learnt from the past alone.

The profiles are features of the predictor: its regression weight on them *is* what they gained on data they had
not seen, so a season that predicts nothing is given no weight.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows

DAY_SLOTS, WEEK_SLOTS = 96, 168
DAY_S, WEEK_S = 86_400.0, 604_800.0

#: Profiles are kept as multiples of the scale a row started with, which half precision holds to 0.05 %.
FIELDS = (Field("day", DAY_SLOTS, "f2"), Field("week", WEEK_SLOTS, "f2"), Field("season_unit", 1, "f8", 1.0))

Floats = NDArray[np.floating[Any]]


class Place(NamedTuple):
    """Where times fall in a profile: the table indices before, left, right and after, and the right one's weight.

    For one time for all rows an index is a slot; for a time per row, (slots, rows).
    """

    before: Any
    left: Any
    right: Any
    after: Any
    fraction: Any


def place(time_s: "float | Floats", slots: int, period_s: float) -> Place:
    """The slots around ``time_s`` (one time, or one a row) in a profile of ``slots`` over ``period_s``."""
    position = (time_s % period_s) / period_s * slots
    if isinstance(position, np.ndarray):
        left, rows = position.astype(np.int64), np.arange(len(position))
        around = [((left + offset) % slots, rows) for offset in (-1, 0, 1, 2)]
        return Place(*around, position - left)
    left = int(position)
    return Place(*((left + offset) % slots for offset in (-1, 0, 1, 2)), position - left)


class Season(NamedTuple):
    """The profiles at one time: their values on the working scale, and how steep the day is there, [n]."""

    day: Floats
    week: Floats
    steep: Floats
    at_day: Place
    at_week: Place


def look_up(state: Rows, time_s: "float | Floats") -> Season:
    """Read both profiles at ``time_s`` (Unix seconds; one time, or one a row)."""
    unit, day, week = state["season_unit"], state["day"], state["week"]
    d, w = place(time_s, DAY_SLOTS, DAY_S), place(time_s, WEEK_SLOTS, WEEK_S)
    before, left, right, after = (day[slot].astype("f8") for slot in d[:4])
    rise = right - left
    steep = np.maximum(np.abs(rise), np.maximum(np.abs(left - before), np.abs(after - right)))
    return Season(
        day=(left + d.fraction * rise) * unit,
        week=((1 - w.fraction) * week[w.left] + w.fraction * week[w.right]) * unit,
        steep=steep * unit,
        at_day=d,
        at_week=w,
    )


def learn(state: Rows, season: Season, deviation: Floats, weight: Floats, period_s: float) -> None:
    """Move both profiles towards ``deviation`` (from the slow level), the week to what the day leaves.

    A slot's gain is one over the days (weeks) seen, up to 12, shared among the windows that fall into it.
    """
    unit = state["season_unit"]
    windows = state["n"] - 24.0
    for table, at, slots, length, target in (
        (state["day"], season.at_day, DAY_SLOTS, DAY_S, deviation),
        (state["week"], season.at_week, WEEK_SLOTS, WEEK_S, deviation - season.day),
    ):
        visits = max(length / slots / period_s, 1.0)
        rounds = np.minimum(np.maximum(windows * (period_s / length), 1.0), 12.0)
        gain = weight / (visits * rounds)
        wanted = target / unit
        for slot, share in ((at.left, 1 - at.fraction), (at.right, at.fraction)):
            table[slot] += np.minimum(gain * share, 1.0) * (wanted - table[slot])
