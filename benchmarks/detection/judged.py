"""Streams through the bank, window by window, and what comes of the event rates at any budget."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.streams import PERIOD_S
from operators.columns import Columns, Field
from operators.detection import Bank, WindowValues
from operators.detection.budget import FIELDS, Budget
from operators.series import SeriesKey
from operators.settings import Detection
from pipelines.backtest.replay import CLEAR

#: A stream: values, or (hits, trials), [windows, series].
Values = Any


class Judged(NamedTuple):
    """Event rates and leading detectors, [windows, series], and the detectors' names."""

    rate: NDArray[np.float32]
    lead: NDArray[np.int8]
    detectors: tuple[str, ...]


def bank_of(
    kinds: list[str], period_s: int = PERIOD_S, detection: Detection | None = None
) -> tuple[Bank, NDArray[np.int64]]:
    """A bank of default detectors, or others, and its rows, of these kinds."""
    bank = Bank(detection or Detection(), period_s)
    return bank, bank.add([SeriesKey("t", "s", str(i), None, (), k, "1") for i, k in enumerate(kinds)], 0)


def judge(
    *streams: Values, period_s: int = PERIOD_S, progress: Callable[[float], None] | None = None
) -> Judged:
    """Judge streams of equal length side by side; ``progress`` is told the part done, 0 to 1."""
    parts = [part if isinstance(part, tuple) else (None, part) for part in streams]
    shape = (len(parts[0][1]), sum(second.shape[1] for _, second in parts))
    kinds = ["gauge" if hits is None else "ratio" for hits, second in parts for _ in range(second.shape[1])]
    bank, rows = bank_of(kinds, period_s)
    out = Judged(np.ones(shape, "f4"), np.zeros(shape, np.int8), bank.detector_ids)
    for t in range(shape[0]):
        verdicts = bank.step(t * period_s * 1000, rows, _window(parts, t))
        out.rate[t], out.lead[t] = verdicts.p_value, verdicts.detector
        if progress and t % 1000 == 999:
            progress((t + 1) / shape[0])
    return out


def _window(parts: list[tuple[Any, Any]], t: int) -> WindowValues:
    one = []
    for hits, second in parts:
        if hits is None:
            one.append(WindowValues.plain(np.asarray(second[t], "f8")))
        else:
            ratio = np.asarray(hits[t] / second[t], "f8")
            one.append(WindowValues(ratio, second[t] * 1.0, hits[t] * 1.0, np.zeros(len(ratio))))
    names = ("value", "samples", "hits", "resolution")
    return WindowValues(*(np.concatenate([getattr(window, name) for window in one]) for name in names))


def alarms(rate: NDArray[Any], budget: float) -> NDArray[np.bool_]:
    """Alarms of each series at ``budget``, with its own feedback."""
    count = rate.shape[1]
    columns = Columns((*FIELDS, Field("n")))
    columns.add(count)
    state = columns.take(slice(0, count))
    law, out, active = Budget(budget), np.zeros(rate.shape, bool), np.ones(count, bool)
    for t, row in enumerate(rate):
        state["n"] += 1
        out[t] = law.decide(state, row, active)
    return out


def episodes(alarm: NDArray[np.bool_], clear: int = CLEAR) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Onsets, and windows inside an episode, which ends after ``clear`` quiet windows, [windows, series]."""
    onset, inside = np.zeros_like(alarm), np.zeros_like(alarm)
    quiet = np.full(alarm.shape[1], clear)
    for t, row in enumerate(alarm):
        onset[t] = row & (quiet >= clear)
        quiet = np.where(row, 0, quiet + 1)
        inside[t] = quiet < clear
    return onset, inside
