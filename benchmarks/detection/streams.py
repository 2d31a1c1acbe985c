"""Streams with nothing wrong in them, [buckets, streams], one value every five minutes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Rng = np.random.Generator

PERIOD_S = 300
_DAY = 86_400 // PERIOD_S


def ar(rng: Rng, shape: tuple[int, int], phi: float) -> Values:
    """Stationary, of unit variance."""
    noise = rng.normal(size=shape)
    out = np.empty(shape)
    out[0] = noise[0]
    for t in range(1, shape[0]):
        out[t] = phi * out[t - 1] + np.sqrt(1 - phi * phi) * noise[t]
    return out


def _phase(shape: tuple[int, int], rng: Rng) -> Values:
    """Day fraction of every bucket; each stream has its own phase."""
    return (np.arange(shape[0])[:, None] / _DAY + rng.random(shape[1])) % 1.0


def _season(rng: Rng, shape: tuple[int, int]) -> Values:
    day, week = _phase(shape, rng), np.arange(shape[0])[:, None] / (7 * _DAY)
    return 2 * np.sin(2 * np.pi * day) + np.sin(4 * np.pi * day) + np.sin(2 * np.pi * week)


def _ratio(rng: Rng, shape: tuple[int, int], p: float) -> tuple[Values, Values]:
    trials = np.exp(rng.uniform(np.log(20), np.log(2000), shape)).astype(int).astype(float)
    return rng.binomial(trials.astype(int), p).astype(float), trials


def _wandering_ratio(rng: Rng, shape: tuple[int, int]) -> tuple[Values, Values]:
    """One in a hundred that wanders by a factor of two, over about a hundred buckets."""
    trials = rng.integers(50, 500, shape)
    return rng.binomial(trials, 0.01 * np.exp(0.35 * ar(rng, shape, 0.99))).astype(float), trials * 1.0


def _bursts(rng: Rng, shape: tuple[int, int]) -> tuple[Values, Values]:
    """Hits that come five at once, one in a thousand trials."""
    trials = rng.integers(50, 500, shape)
    return 5.0 * rng.binomial(trials, 0.0002), trials * 1.0


def _wander(rng: Rng, shape: tuple[int, int]) -> Values:
    slow = np.cumsum(rng.normal(size=shape), 0) * 0.02
    return slow + rng.normal(size=shape)


def _square(rng: Rng, shape: tuple[int, int]) -> Values:
    day = _phase(shape, rng)
    return 20.0 + 60.0 * ((day > 0.375) & (day < 0.75))


def _batches(rng: Rng, shape: tuple[int, int], every: int, length: int) -> Values:
    start = rng.integers(0, every, shape[1])
    on = (np.arange(shape[0])[:, None] - start) % every < length
    return 5 + rng.normal(size=shape) * 0.5 + on * (30 + 3 * rng.normal(size=shape))


def _steps(rng: Rng, shape: tuple[int, int]) -> Values:
    """Stepwise: a level held for a geometric time (mean 50), then another of a few."""
    levels = rng.integers(0, 8, shape).astype(float)
    keep = rng.random(shape) > 0.02
    for t in range(1, shape[0]):
        levels[t] = np.where(keep[t], levels[t - 1], levels[t])
    return 10 * levels


def _counter(rng: Rng, shape: tuple[int, int]) -> Values:
    """Increments of a cumulative counter under daily load, with resets of its total."""
    load = 40 * (1.3 + np.sin(2 * np.pi * _phase(shape, rng)))
    return rng.poisson(load).astype(float)


Stream = Callable[[Rng, tuple[int, int]], Any]

#: By name; a pair is (hits, trials).
STREAMS: dict[str, Stream] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(size=shape),
    "lognormal 0.5 (s)": lambda rng, shape: np.exp(0.5 * rng.normal(size=shape)),
    "lognormal 0.5 (ms)": lambda rng, shape: 1000 * np.exp(0.5 * rng.normal(size=shape)),
    "AR(1) 0.5": lambda rng, shape: ar(rng, shape, 0.5),
    "AR(1) 0.8": lambda rng, shape: ar(rng, shape, 0.8),
    "AR(1) 0.95": lambda rng, shape: ar(rng, shape, 0.95),
    "day + week, AR 0.6": lambda rng, shape: _season(rng, shape) + ar(rng, shape, 0.6),
    "t(3)": lambda rng, shape: rng.standard_t(3, shape),
    "Poisson 0.2": lambda rng, shape: rng.poisson(0.2, shape).astype(float),
    "Poisson 5": lambda rng, shape: rng.poisson(5, shape).astype(float),
    "Poisson 200": lambda rng, shape: rng.poisson(200, shape).astype(float),
    "Poisson, daily": lambda rng, shape: rng.poisson(
        30 * (1.2 + np.sin(2 * np.pi * _phase(shape, rng)))
    ).astype(float),
    "ratio 0.001, value": lambda rng, shape: np.divide(*_ratio(rng, shape, 0.001)),
    "ratio 0.001, trials": lambda rng, shape: _ratio(rng, shape, 0.001),
    "ratio 0.05, value": lambda rng, shape: np.divide(*_ratio(rng, shape, 0.05)),
    "ratio 0.05, trials": lambda rng, shape: _ratio(rng, shape, 0.05),
    "ratio 0.01, wandering": _wandering_ratio,
    "ratio 0.001, bursts of 5": _bursts,
    "wander": _wander,
    "random walk": lambda rng, shape: np.cumsum(rng.normal(size=shape), 0),
    "noise-free day": lambda rng, shape: 50 + 20 * np.sin(2 * np.pi * _phase(shape, rng)),
    "nearly noise-free day": lambda rng, shape: (
        50 + 20 * np.sin(2 * np.pi * _phase(shape, rng)) + 0.05 * rng.normal(size=shape)
    ),
    "square wave": _square,
    "square wave + noise": lambda rng, shape: _square(rng, shape) + rng.normal(size=shape),
    "hourly batch": lambda rng, shape: _batches(rng, shape, 12, 2),
    "daily batch": lambda rng, shape: _batches(rng, shape, _DAY, 6),
    "counter (increments)": _counter,
    "few levels": lambda rng, shape: np.round(2 * ar(rng, shape, 0.9)),
    "steps": _steps,
    "constant": lambda rng, shape: np.full(shape, 7.0),
    "rare blips": lambda rng, shape: (rng.random(shape) < 0.004) * rng.exponential(size=shape),
}
