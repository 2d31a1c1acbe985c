"""Event F1 and how well the score ranks on made series of ten kinds, whose anomalies are known.

    python -m benchmarks.detection.made [--seeds 3] [--each 3] [--json OUT]

Labelled series of other people are few, and rules come to fit them. These are hourly or every five minutes,
350 to 4,000 rows, every third with a span missing, and unlike those that detection was tuned on. Precision of
the score is point by point, in the mean of the series.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.command import command
from benchmarks.detection.labelled import average_precision
from benchmarks.detection.streams import Rng, Values, ar
from pipelines.backtest import judge, replay
from pipelines.backtest.judge import Judgement
from pipelines.backtest.replay import Scored
from pipelines.backtest.series import Series

#: Values and which of them are anomalous.
Made = tuple[Values, NDArray[np.bool_]]

BUDGET = 10_000
_FIRST_S = 1.7e9


def _ar(rng: Rng, count: int, phi: float) -> Values:
    return ar(rng, (count, 1), phi)[:, 0]


def _day(rng: Rng, count: int, step: int, harmonics: int = 2) -> tuple[Values, Values]:
    """A daily pattern of unit variance, and a factor for quieter weekends."""
    t = np.arange(count, dtype=np.float64) * step / 86400 + rng.random()
    out = np.zeros(count)
    for h in range(1, harmonics + 1):
        out += rng.normal() / h * np.sin(2 * np.pi * h * t + rng.random() * 6.28)
    weekend = np.where(np.floor(t) % 7 >= 5, 1 - 0.5 * rng.random(), 1.0)
    pattern: Values = out / float(out.std())
    return pattern, weekend


def _places(rng: Rng, count: int, many: int, first: float) -> Sequence[int]:
    """Where anomalies begin: not in the ``first`` share of the rows."""
    places: list[int] = np.sort(rng.choice(np.arange(int(first * count), count - 5), many, False)).tolist()
    return places


def points(rng: Rng, count: int, step: int) -> Made:
    """Patterns of 12, 24 and 168 hours with a trend; single values far off."""
    t = np.arange(count)
    y = 100 + rng.normal() * 0.02 * t + rng.uniform(0.5, 3) * rng.normal(size=count)
    for hours in (12, 24, 168):
        y += 8 * rng.uniform(0.5, 3) * np.sin(2 * np.pi * t / hours + rng.random() * 6)
    label = np.zeros(count, bool)
    for place in _places(rng, count, 8, 0.1):
        y[place] += rng.choice([-1, 1]) * rng.uniform(15, 60)
        label[place] = True
    return y, label


def steps(rng: Rng, count: int, step: int) -> Made:
    """The same, and a new level for good."""
    y, label = points(rng, count, step)
    place = int(count * rng.uniform(0.4, 0.8))
    y[place:] += rng.choice([-1, 1]) * rng.uniform(20, 60)
    label[place : place + 3] = True
    return y, label


def traffic(rng: Rng, count: int, step: int) -> Made:
    """Requests by day and week; outages, halves and doubles for up to an hour and a half."""
    day, weekend = _day(rng, count, step)
    y = np.exp(0.5 * day) * weekend * rng.choice([30, 500, 1e4]) * np.exp(0.08 * _ar(rng, count, 0.6))
    label = np.zeros(count, bool)
    for place in _places(rng, count, 4, 0.2):
        width = int(rng.integers(2, max(3, int(5400 / step) + 2)))
        y[place : place + width] *= rng.choice([0.05, 0.3, 0.5, 2, 3])
        label[place : place + width] = True
    return np.round(y), label


def load(rng: Rng, count: int, step: int) -> Made:
    """Skewed noise about one level; 1.8 to 4 times of it for up to forty rows."""
    y = rng.uniform(2, 40) * np.exp(rng.uniform(0.03, 0.3) * _ar(rng, count, rng.choice([0, 0.5, 0.9])))
    return _raised(rng, y, 3, 0.15, (1, 40), lambda part, size: part * rng.uniform(1.8, 4))


def spiky(rng: Rng, count: int, step: int) -> Made:
    """Spikes in one row of fifty are usual; lasting ones are not."""
    y = 5 + rng.gamma(2, 1, count) + (rng.random(count) < 0.02) * rng.exponential(15, count)
    return _raised(rng, y, 3, 0.2, (3, 25), lambda part, size: part + rng.uniform(15, 40))


def counts(rng: Rng, count: int, step: int) -> Made:
    """Poisson counts with a daily pattern; four times as many and six."""
    day, _ = _day(rng, count, step, 1)
    usual = rng.choice([0.3, 2, 8]) * np.exp(0.7 * day)
    y = rng.poisson(usual).astype(float)
    label = np.zeros(count, bool)
    for place in _places(rng, count, 3, 0.2):
        part = slice(place, place + int(rng.integers(2, 20)))
        y[part], label[part] = rng.poisson(usual[part] * 4 + 6), True
    return y, label


def errors(rng: Rng, count: int, step: int) -> Made:
    """A rate that is nought mostly; bursts."""
    y = np.where(rng.random(count) < 0.3, rng.exponential(0.01, count), 0.0)

    def burst(part: Values, size: int) -> Values:
        return part + rng.uniform(0.06, 0.5) * np.exp(0.3 * rng.normal(size=size))

    return _raised(rng, y, 4, 0.1, (1, 15), burst)


def jobs(rng: Rng, count: int, step: int) -> Made:
    """A job each day; one that is missing, one at another time, and values beyond it."""
    day = 86400 // step
    first = int(rng.integers(0, day))
    length = max(2, day // 24)
    since = (np.arange(count) - first) % day
    on = since < length
    y = 10 + rng.normal(size=count) + on * (40 + 3 * rng.normal(size=count))
    label = np.zeros(count, bool)
    begins = np.flatnonzero(since == 0)
    begins = begins[begins > count * 0.4]
    if len(begins) > 2:
        place = int(rng.choice(begins[:-1]))
        y[place : place + length] = 10 + rng.normal(size=length)
        label[place : place + length] = True
    place = int(rng.uniform(0.5, 0.9) * count)
    if not on[place : place + length].any():
        y[place : place + length] += 40
        label[place : place + length] = True
    for place in _places(rng, count, 2, 0.3):
        if not label[max(0, place - 9) : place + 9].any():
            y[place : place + 3] += rng.uniform(60, 90)
            label[place : place + 3] = True
    return y, label


def wander(rng: Rng, count: int, step: int) -> Made:
    """A level that wanders slowly; five to twelve deviations off for up to thirty rows."""
    y = 50 + np.cumsum(rng.normal(size=count)) * 0.05 + rng.normal(size=count)
    return _raised(
        rng, y, 3, 0.15, (1, 30), lambda part, size: part + rng.choice([-1, 1]) * rng.uniform(5, 12)
    )


def spread(rng: Rng, count: int, step: int) -> Made:
    """Three to five times the spread for twenty to sixty rows."""
    y = 20 + _ar(rng, count, rng.choice([0, 0.5]))
    return _raised(rng, y, 2, 0.25, (20, 60), lambda part, size: 20 + (part - 20) * rng.uniform(3, 5))


def _raised(
    rng: Rng,
    y: Values,
    many: int,
    first: float,
    rows: tuple[int, int],
    change: Callable[[Values, int], Values],
) -> Made:
    """``y`` with some spans changed."""
    label = np.zeros(len(y), bool)
    for place in _places(rng, len(y), many, first):
        width = int(rng.integers(*rows))
        part = slice(place, place + width)
        y[part] = change(y[part], min(width, len(y) - place))
        label[part] = True
    return y, label


#: By kind: how it is made, at which steps (s), how many rows at most.
KINDS: dict[str, tuple[Callable[[Rng, int, int], Made], tuple[int, ...], int]] = {
    "points in patterns": (points, (3600,), 1600),
    "steps in patterns": (steps, (3600,), 1600),
    "traffic": (traffic, (300, 3600), 4000),
    "load": (load, (300,), 4000),
    "spiky": (spiky, (300,), 4000),
    "counts": (counts, (300, 3600), 4000),
    "errors": (errors, (300, 3600), 3000),
    "jobs": (jobs, (300, 3600), 4000),
    "wander": (wander, (300,), 3000),
    "spread": (spread, (300,), 3000),
}


def make(seed: int, each: int) -> list[Series]:
    """``each`` series of every kind, whose file is its kind."""
    out = []
    for kind, (how, periods, most) in KINDS.items():
        for number in range(each):
            rng = np.random.default_rng([seed, number, *kind.encode()])
            step = periods[number % len(periods)]
            count = int(rng.integers(350, 1600)) if step > 300 and most > 1600 else most
            value, label = how(rng, count, step)
            if number % 3 == 2:
                first = int(rng.uniform(0.3, 0.9) * count)
                value[first : first + max(3, count // 50)] = np.nan
                label &= ~np.isnan(value)
            time_s: Values = _FIRST_S + np.arange(count, dtype=np.float64) * step
            name = f"{kind} {seed} {number}"
            out.append(Series(Path(kind), name, np.arange(count), [""] * count, time_s, value, label))
    return out


def line(results: Sequence[Scored]) -> dict[str, Any]:
    """Alarms against labels, and the score's precision."""
    total = Judgement()
    for scored in results:
        if scored.series.label is not None:
            total += judge(scored.alarm, scored.series.label)
    figures = total.summary()
    shown = ("segments", "alarms", "precision", "recall", "f1", "median_delay")
    return {name: figures[name] for name in shown} | {"score_precision": average_precision(list(results))}


def run(seeds: int = 3, each: int = 3) -> dict[str, Any]:
    """Judge all series of the first ``seeds`` seeds; a row a kind, and one a seed."""
    results = replay([series for seed in range(1, seeds + 1) for series in make(seed, each)], BUDGET)
    kinds = {kind: line([r for r in results if r.series.file.name == kind]) for kind in KINDS}
    parts = {
        f"seed {s}": line([r for r in results if r.series.name.split()[-2] == str(s)])
        for s in range(1, seeds + 1)
    }
    out = {"by kind": kinds | {"all": line(results)}, "by seed": parts}
    for rows in out.values():
        for name, figures in rows.items():
            print(f"{name:20s}", {k: None if v is None else round(v, 3) for k, v in figures.items()})
    return out


if __name__ == "__main__":
    command(run, __doc__)
