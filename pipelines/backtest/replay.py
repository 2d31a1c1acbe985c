"""Series through the detection bank, in time order, many at once; nothing looks ahead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from operators.detection import Bank, WindowValues
from operators.series import SeriesKey, event_id, fingerprint
from operators.settings import AlarmBudget, Detection
from pipelines.backtest.counters import Counter
from pipelines.backtest.episodes import episodes, owner
from pipelines.backtest.extremity import surprise
from pipelines.backtest.series import Series

#: The step is inferred from the rows of the warm-up alone: later rows must not change earlier scores.
_STEP_ROWS = 24
#: Sizes that detectors are made for; series of others are brought near 1, and glitches to this much.
_SIZES = (1e-6, 1e12)
_GLITCH = 1e18
#: Quiet rows that end an episode.
CLEAR = 5
#: Weight of rarity (-log10 of the event rate) beside surprise in what ranks rows.
_RARITY = 0.4


@dataclass(frozen=True)
class Scored:
    """A series with a verdict for every row, in the file's order; NaN where there is no band.

    ``score`` ranks: extremity of the value and of its distance from what was expected, in powers of two, and
    two fifths of the powers of ten of rarity. ``p_value`` and ``alarm`` are calibrated and rest on rarity
    alone.
    """

    series: Series
    step_s: float
    score: NDArray[np.float64]
    p_value: NDArray[np.float64]
    alarm: NDArray[np.bool_]
    event: list[UUID | None]
    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def step_s(time_s: NDArray[np.float64]) -> float:
    """The step of a series, s: the median positive difference of its first rows; 60 if unknown."""
    gaps = np.diff(time_s[:_STEP_ROWS])
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if gaps.size else 60.0


def factor(value: NDArray[np.float64]) -> float:
    """A power of two that brings values of an extreme size near 1, told by the warm-up alone; else 1."""
    known = np.abs(value[~np.isnan(value)][:_STEP_ROWS])
    known = np.sort(known[known > 0])
    if not known.size or _SIZES[0] <= (size := known[known.size // 2]) <= _SIZES[1]:
        return 1.0
    return float(np.exp2(np.clip(-np.frexp(size)[1], -1000, 1000)))


def replay(
    many: Sequence[Series],
    budget: float,
    detection: Detection | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Scored]:
    """Judge every series.

    Args:
        many: the series.
        budget: rows between false alarm onsets of a series.
        detection: detectors to run; its alarm budget is replaced by ``budget``.
        progress: told how many rows were done since the last call.
    """
    orders = [np.flatnonzero(~np.isnan(s.time_s)) for s in many]
    orders = [
        order[np.argsort(s.time_s[order], kind="stable")] for s, order in zip(many, orders, strict=True)
    ]
    steps = [step_s(s.time_s[order]) for s, order in zip(many, orders, strict=True)]
    done: dict[int, Scored] = {}
    judged = [_judged_step(step) for step in steps]
    for step in sorted(set(judged)):
        members = sorted((i for i, s in enumerate(judged) if s == step), key=lambda i: -len(orders[i]))
        alike = _OfOneStep([many[i] for i in members], [orders[i] for i in members], step, budget, detection)
        done.update(zip(members, alike.run(progress), strict=True))
    return [done[i] for i in range(len(many))]


def _judged_step(step: float) -> float:
    """The step a series is judged with: fractions of an hour as they are, others to the nearest quarter.

    Only the length of a day and of the budget follow from it, and series of one step are judged together.
    """
    return step if 3600 % step == 0 else float(10 ** (round(10 * np.log10(step)) / 10))


class _OfOneStep:
    """Series of one step, longest first, so that those still running are always the first rows."""

    def __init__(
        self,
        many: Sequence[Series],
        orders: Sequence[NDArray[np.int64]],
        step: float,
        budget: float,
        detection: Detection | None,
    ) -> None:
        self.many, self.orders, self.step = many, orders, step
        settings = detection or Detection(per_signal={})
        days = AlarmBudget(per_series_days=budget * step / 86_400, fleet_fdr=settings.alarm_budget.fleet_fdr)
        self.settings = Detection(
            detectors=settings.detectors, per_signal=settings.per_signal, alarm_budget=days
        )
        length = len(orders[0])
        shape = (len(many), length)
        self.time = np.zeros(shape)
        self.value = np.full(shape, np.nan)
        self.restarts = np.zeros(shape, bool)
        self.base = np.zeros(shape)
        self.factor = np.ones(len(many))
        for i, (series, order) in enumerate(zip(many, orders, strict=True)):
            self.time[i, : len(order)] = series.time_s[order]
            self._values(i, series.value[order])

    def _values(self, i: int, values: NDArray[np.float64]) -> None:
        counter = Counter()
        self.factor[i] = factor(values)
        for k, value in enumerate(np.clip(values * self.factor[i], -_GLITCH, _GLITCH).tolist()):
            self.value[i, k], self.restarts[i, k] = counter.take(value)
            self.base[i, k] = value - self.value[i, k] if counter.counting else 0.0

    def run(self, progress: Callable[[int], None] | None) -> list[Scored]:
        bank = Bank(self.settings, self.step)
        keys = [_key(series) for series in self.many]
        rows = bank.add(keys, 0)
        lengths = np.array([len(order) for order in self.orders])
        columns = {name: np.full(self.value.shape, np.nan) for name in ("expected", "low", "high")}
        score, p_value = np.zeros(self.value.shape), np.ones(self.value.shape)
        alarm = np.zeros(self.value.shape, bool)
        detector = np.zeros(self.value.shape, np.int16)
        for k in range(self.value.shape[1]):
            live = int((lengths > k).sum())
            fresh = np.flatnonzero(self.restarts[:live, k])
            if fresh.size:
                bank.restart(rows[fresh])
            times = self.time[:live, k]
            when = int(times[0] * 1000) if (times == times[0]).all() else (times * 1000).astype(np.int64)
            verdicts = bank.step(when, rows[:live], WindowValues.plain(self.value[:live, k].copy()))
            score[:live, k], p_value[:live, k] = verdicts.score, verdicts.p_value
            alarm[:live, k], detector[:live, k] = verdicts.alarm, verdicts.detector
            for name, values in columns.items():
                values[:live, k] = np.where(verdicts.warming, np.nan, getattr(verdicts, name))
            if progress and k % 64 == 63:
                progress(64 * live)
        return [
            self._scored(i, keys[i], bank, score[i], p_value[i], alarm[i], detector[i], columns)
            for i in range(len(self.many))
        ]

    def _scored(
        self,
        i: int,
        key: SeriesKey,
        bank: Bank,
        score: NDArray[np.float64],
        p_value: NDArray[np.float64],
        alarm: NDArray[np.bool_],
        detector: NDArray[np.int16],
        columns: dict[str, NDArray[np.float64]],
    ) -> Scored:
        series, order = self.many[i], self.orders[i]
        count, length = len(order), len(series.rows)
        inside, onsets = episodes(alarm[:count], ~np.isnan(series.value[order]), CLEAR)
        rank = surprise(self.value[i, :count], columns["expected"][i, :count]) + _RARITY * score[:count]
        with np.errstate(over="ignore"):  # the band of the largest numbers may end beyond them
            band = {
                name: (values[i, :count] + self.base[i, :count]) / self.factor[i]
                for name, values in columns.items()
            }
        ids = []
        for onset in onsets:
            name = bank.detector_ids[detector[onset]]
            ids.append(event_id(name, fingerprint(key, name), int(self.time[i, onset] * 1000)))
        owners = owner(inside, onsets)
        event: list[UUID | None] = [None] * length
        for place, episode in zip(order.tolist(), owners.tolist(), strict=True):
            event[place] = ids[episode] if episode >= 0 else None
        return Scored(
            series=series,
            step_s=step_s(series.time_s[order]),
            score=_placed(rank, order, length, 0.0),
            p_value=_placed(p_value[:count], order, length, 1.0),
            alarm=_placed(inside, order, length, 0.0).astype(bool),
            event=event,
            **{name: _placed(values, order, length, np.nan) for name, values in band.items()},
        )


def _placed(
    values: NDArray[np.generic], order: NDArray[np.int64], length: int, rest: float
) -> NDArray[np.float64]:
    out = np.full(length, rest)
    out[order] = values
    return out


def _key(series: Series) -> SeriesKey:
    return SeriesKey("backtest", "value", "value", None, (("service", series.name),), "gauge", "1")
