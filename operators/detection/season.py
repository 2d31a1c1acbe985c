"""Daily and weekly profiles of a row, linearly interpolated, learnt from the past alone.

The profiles are features of the predictor: its regression weight on them *is* what they gained on data they
had not seen, so a season that predicts nothing is given no weight.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import Floats, Window

DAY_SLOTS, WEEK_SLOTS, ROUGH_SLOTS = 96, 84, 48
DAY_S, WEEK_S = 86_400.0, 604_800.0

#: Profiles are kept as multiples of the scale a row started with, which half precision holds to 0.05 %.
#: ``rough``: mean root of the absolute standardised residual, the lesser of two days; ``lately``: the last
#: day's; ``trust``: regression sums of the two profiles; ``anchor``: the level that the daily profile is
#: kept about.
_TYPICAL = 0.85
_MOST = 30_000.0
TRUST_MEMORY = 4000.0
#: A day fills ``lately`` to two thirds: so much of it is what yesterday was; and what makes that odd.
_AGAIN, _ODD = 1.5, 2.0
FIELDS = (
    Field("day", DAY_SLOTS, "f2", sparse=True),
    Field("week", WEEK_SLOTS, "f2", sparse=True),
    Field("rough", ROUGH_SLOTS, "f2", _TYPICAL, sparse=True),
    Field("lately", ROUGH_SLOTS, "f2", _TYPICAL, sparse=True),
    Field("season_unit", None, "f8", 1.0),
    Field("anchor", None, "f8"),
    Field("trust", 4, "f8"),
)


class Place(NamedTuple):
    """Where times fall in a profile: table indices around, the right one's weight, the nearest.

    For one time for all rows an index is a slot; for a time per row, (slots, rows).
    """

    before: Any
    left: Any
    right: Any
    after: Any
    fraction: Any
    nearest: Any


def place(time_s: "float | Floats", slots: int, period_s: float) -> Place:
    """The slots around ``time_s`` (one time, or one a row) in a profile of ``slots`` over ``period_s``."""
    position = (time_s % period_s) / period_s * slots
    if not isinstance(position, np.ndarray):
        left = int(position)
        fraction = position - left
        slot = [(left + offset) % slots for offset in (-1, 0, 1, 2)]
        return Place(slot[0], slot[1], slot[2], slot[3], fraction, slot[1 if fraction < 0.5 else 2])
    lefts = position.astype(np.int64)
    fractions = position - lefts
    rows = np.arange(len(position))
    cell = [((lefts + offset) % slots, rows) for offset in (-1, 0, 1, 2)]
    nearest = ((lefts + (fractions >= 0.5)) % slots, rows)
    return Place(cell[0], cell[1], cell[2], cell[3], fractions, nearest)


class Season(NamedTuple):
    """The profiles at one time, [n], on the working scale.

    ``day``, ``week``: as learnt; ``expected``: what they are trusted for; ``steep``: how far the trusted day
    moves around here; ``rough``: how much wider residuals are at this time of day, at least 1.
    """

    day: Floats
    week: Floats
    expected: Floats
    steep: Floats
    rough: Floats
    at_day: Place
    at_week: Place
    at_rough: Place


def look_up(state: Rows, time_s: "float | Floats", period_s: float) -> Season:
    """Read the profiles at ``time_s`` (one time, or one a row); nothing before their second round."""
    unit, day_table, week_table, rough = state["season_unit"], state["day"], state["week"], state["rough"]
    d, w = place(time_s, DAY_SLOTS, DAY_S), place(time_s, WEEK_SLOTS, WEEK_S)
    offset = (state["level"] - state["anchor"]) / unit
    known = [day_table[slot].astype("f8") for slot in d[:4]]
    before, left, right, after = (np.where(values != 0, values - offset, np.nan) for values in known)
    steep = np.fmax.reduce(np.abs((left - before, right - left, after - right)))
    steep = np.where(steep == steep, steep, 0.0)  # windows longer than a slot leave gaps
    left, right = np.where(left == left, left, right), np.where(right == right, right, left)
    rise = right - left
    seen_s = (state["n"] - 24.0) * period_s
    unit_day, unit_week = unit * (seen_s >= DAY_S), unit * (seen_s >= WEEK_S)
    day = np.nan_to_num(left + d.fraction * rise) * unit_day
    week = ((1 - w.fraction) * week_table[w.left] + w.fraction * week_table[w.right]) * unit_week
    prior = 10.0 * state["plain_var"]
    day_trust, week_trust = (
        np.minimum(np.maximum(gain / (energy + prior), 0.0), 1.0)
        for gain, energy in (state["trust"][0:2], state["trust"][2:4])
    )
    r = place(time_s, ROUGH_SLOTS, DAY_S)
    wide = np.maximum(rough[r.left], rough[r.right]).astype("f8") / _TYPICAL
    return Season(
        day=day,
        week=week,
        expected=day_trust * day + week_trust * week,
        steep=day_trust * steep * unit_day,
        rough=np.maximum(wide * wide * 0.8, 1.0),
        at_day=d,
        at_week=w,
        at_rough=r,
    )


def odd_yesterday(state: Rows, season: Season) -> NDArray[np.bool_]:
    """Where residuals of the day before were odd at this time of day, [n]."""
    odd: NDArray[np.bool_] = state["lately"][season.at_rough.nearest] > _ODD
    return odd


def learn(state: Rows, season: Season, window: Window, short: NDArray[np.bool_], period_s: float) -> None:
    """Learn profiles, their trust and the roughness of this time of day.

    All of it also from odd windows, as long as they are few in a row (``short``): what comes back every day
    is no anomaly. Values are clipped at four of their own spreads, residual scale or not; or, where yesterday
    was as odd at this time, at what it was: a short job a day is hardly seen in the spread.
    """
    usual = np.sqrt(state["plain_var"])
    _widen(state, usual)
    unit = state["season_unit"]
    weight = window.active & short
    lately = state["lately"][season.at_rough.nearest].astype("f8")
    most = np.maximum(4 * usual, window.base * (_AGAIN * lately) ** 2)
    deviation = np.minimum(np.maximum(window.y - state["level"], -most), most)
    left = deviation - season.day
    trust = state["trust"]
    trust *= 1.0 - weight / TRUST_MEMORY
    trust += weight * np.array((deviation * season.day, season.day**2, left * season.week, season.week**2))
    windows = state["n"] - 24.0
    for table, at, slots, length, target in (
        (state["day"], season.at_day, DAY_SLOTS, DAY_S, deviation + state["level"] - state["anchor"]),
        (state["week"], season.at_week, WEEK_SLOTS, WEEK_S, left),
    ):
        visits = max(length / slots / period_s, 1.0)
        rounds = np.minimum(np.maximum(windows * (period_s / length), 1.0), 12.0)
        gain = weight / (visits * rounds)
        wanted = np.minimum(np.maximum(target / unit, -_MOST), _MOST)
        for slot, share in ((at.left, 1 - at.fraction), (at.right, at.fraction)):
            old = table[slot]
            part = np.minimum(gain * share, 1.0)
            if not isinstance(share, float) or share >= 0.5:
                part = np.where((old == 0) & (share >= 0.5) & weight, 1.0, part)
            table[slot] += part * (wanted - old)
    _learn_rough(state, season.at_rough, window, weight, period_s)


def _learn_rough(state: Rows, at: Place, window: Window, weight: NDArray[np.bool_], period_s: float) -> None:
    """Residuals count as wide at a time of day once they were so on two days: one odd day changes nothing."""
    size = np.sqrt(np.minimum(np.abs(window.z) * window.sd / window.base, 100.0))
    visits = max(DAY_S / ROUGH_SLOTS / period_s, 1.0)
    rough, lately = state["rough"], state["lately"]
    slot = at.nearest
    rough[slot] += weight * (np.minimum(size, lately[slot]) - rough[slot]) / (3.0 * visits)
    lately[slot] += weight * (size - lately[slot]) / visits


def _widen(state: Rows, usual: Floats) -> None:
    """Measure profiles in a wider unit where a row has left the scale it started with."""
    rows = np.flatnonzero(usual > 64 * state["season_unit"])
    if rows.size:
        for name in ("day", "week"):
            state[name][:, rows] = state[name][:, rows] * (state["season_unit"][rows] / usual[rows])
        state["season_unit"][rows] = usual[rows]


def follow(state: Rows, moved: Floats, period_s: float) -> None:
    """The slow level has moved: after two days the daily profile moves with it, before it stays."""
    state["anchor"] += np.where(state["n"] * period_s >= 2 * DAY_S, moved, 0.0)
