"""Alarms that end: a lasting change is one event, and then the new normal.

    python -m benchmarks.detection.ends [--streams 40] [--json OUT]

Each series changes once, for good, after 2,500 windows, and is watched for 1,000 more, with windows of five
minutes and of one. An episode ends after five quiet windows; alarms that start again within the lifecycle's
cooldown belong to the same event. Beside it, as much time without a change: what starts again by chance.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.command import command
from benchmarks.detection.judged import Values, alarms, episodes, judge
from benchmarks.detection.streams import ar
from operators.settings import LifecycleSettings
from pipelines.backtest.replay import CLEAR

BUDGET = 10_000
ONSET, AFTER = 2500, 1000
PERIODS = (300, 60)


def changes(rng: np.random.Generator, streams: int) -> dict[str, Values]:
    """Lasting changes of level, spread and ratio; and none."""
    shape = (ONSET + AFTER, streams)
    after = np.maximum(np.arange(shape[0]) - ONSET + 1, 0)[:, None]
    out: dict[str, Values] = {"no change": ar(rng, shape, 0.0)}
    for phi in (0.0, 0.5):
        noise = ar(rng, shape, phi)
        name = f"AR(1) {phi:g}" if phi else "normal"
        for size in (1, 2, 4, 8):
            out[f"{name}, level + {size} sd"] = noise + size * (after > 0)
        for length in (50, 200):
            ramp = np.minimum(after / length, 1.0)
            out[f"{name}, ramp to 8 sd in {length} windows"] = noise + 8 * ramp
        out[f"{name}, variance x 2"] = noise * np.where(after > 0, 2**0.5, 1)
    for trials in (200, 2000):
        p = np.broadcast_to(np.where(after > 0, 0.03, 0.01), shape)
        hits = rng.binomial(trials, p).astype(float)
        out[f"ratio 1 % to 3 %, {trials} trials"] = (hits, np.full(shape, float(trials)))
    return out


def line(alarm: NDArray[np.bool_], period_s: int) -> dict[str, float]:
    """What the alarms after a change [windows, series] come to."""
    onset, inside = episodes(alarm)
    event, _ = episodes(alarm, CLEAR + int(LifecycleSettings().cooldown_s / period_s))
    found = event.any(0)
    first = np.where(found, onset.argmax(0), 0)
    last = np.where(found, len(alarm) - 1 - alarm[::-1].argmax(0), 0)
    events, hours = event.sum(0), period_s / 3600
    some = found if found.any() else np.ones_like(found)
    return {
        "found": float(found.mean()),
        "one_event": float((events[some] == 1).mean()),
        "most_events": int(events.max()),
        "onsets": float(onset.sum(0)[some].mean()),
        "ended_after_h": float(np.median((last - first + 1)[some]) * hours),
        "longest_h": float((last - first + 1)[some].max() * hours),
        "in_alarm": float(inside.mean()),
        "at_the_end": float(inside[-1].mean()),
    }


def run(streams: int = 40) -> dict[str, Any]:
    """Every change, at both lengths of window."""
    out: dict[str, Any] = {}
    for period_s in PERIODS:
        many = changes(np.random.default_rng(19), streams)
        alarm = alarms(judge(*many.values(), period_s=period_s).rate, BUDGET)[ONSET:]
        table = {
            name: line(part, period_s)
            for name, part in zip(many, np.split(alarm, len(many), axis=1), strict=True)
        }
        out[f"windows of {period_s} s"] = table
        for name, figures in table.items():
            print(f"{period_s:4d} s {name:32s}", {k: round(v, 2) for k, v in figures.items()}, flush=True)
    return out


if __name__ == "__main__":
    command(run, __doc__)
