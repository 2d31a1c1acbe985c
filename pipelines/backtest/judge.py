"""Judging alarms by labels, event by event, and the baselines they are set beside.

Alarms within 1 % of the series' length are one event; a labelled segment is found when an alarm falls in it
or up to 1 % after it; precision is over alarm events.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NEAR = 0.01
_WINDOW = 300


@dataclass(frozen=True)
class Judgement:
    """Counts that add up over series; ``delays`` in rows, one per found segment."""

    segments: int = 0
    found: int = 0
    alarms: int = 0
    true_alarms: int = 0
    rows: int = 0
    alarm_rows: int = 0
    delays: tuple[int, ...] = ()

    def __add__(self, other: "Judgement") -> "Judgement":
        return Judgement(
            self.segments + other.segments,
            self.found + other.found,
            self.alarms + other.alarms,
            self.true_alarms + other.true_alarms,
            self.rows + other.rows,
            self.alarm_rows + other.alarm_rows,
            self.delays + other.delays,
        )

    def summary(self) -> dict[str, float | int | None]:
        """Precision, recall, F1, false alarms per 1,000 rows, delay; None where nothing can be divided."""
        precision = self.true_alarms / self.alarms if self.alarms else None
        recall = self.found / self.segments if self.segments else None
        f1 = None
        if precision is not None and recall is not None:
            f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        return {
            "segments": self.segments,
            "alarms": self.alarms,
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "false_per_1000": 1000 * (self.alarms - self.true_alarms) / self.rows if self.rows else None,
            "median_delay": float(np.median(self.delays)) if self.delays else None,
            "alarm_share": self.alarm_rows / self.rows if self.rows else None,
        }


def runs(flags: NDArray[np.bool_], near: int = 0) -> list[tuple[int, int]]:
    """(first, last) of each run of true rows; runs at most ``near`` rows apart are one."""
    places = np.flatnonzero(flags)
    if not places.size:
        return []
    breaks = np.flatnonzero(np.diff(places) > near + 1)
    firsts = places[np.concatenate(([0], breaks + 1))]
    lasts = places[np.concatenate((breaks, [len(places) - 1]))]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def judge(alarm: NDArray[np.bool_], label: NDArray[np.bool_]) -> Judgement:
    """Judge one series' alarms, both [n] in time order."""
    near = max(int(_NEAR * len(alarm)), 1)
    segments = runs(label)
    events = runs(alarm, near)
    places = np.flatnonzero(alarm)
    delays = []
    for first, last in segments:
        hit = places[(places >= first) & (places <= last + near)]
        if hit.size:
            delays.append(int(hit[0]) - first)
    true = sum(any(a <= last + near and b >= first for first, last in segments) for a, b in events)
    return Judgement(
        len(segments), len(delays), len(events), true, len(alarm), int(alarm.sum()), tuple(delays)
    )


def sigma(value: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    """The baseline people have: farther than ``limit`` deviations from the mean of the last 300 rows."""
    alarm, given = np.zeros(len(value), bool), ~np.isnan(value)
    if not given.any():
        return alarm
    known = np.ldexp(value[given], -int(np.frexp(np.nanmax(np.abs(value)))[1]))  # squares stay finite
    known = known - known[0]
    before, squares = (np.concatenate(([0.0], np.cumsum(each))) for each in (known, known**2))
    end = np.arange(len(known))
    start = np.maximum(end - _WINDOW, 0)
    count = end - start
    mean = (before[end] - before[start]) / np.maximum(count, 1)
    var = (squares[end] - squares[start]) / np.maximum(count, 1) - mean**2
    far = np.abs(known - mean) > limit * np.sqrt(np.maximum(var, 0))
    alarm[given] = far & (count >= 24)
    return alarm
