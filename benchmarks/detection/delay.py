"""Median detection delay at 1 in 10,000, beside a CUSUM that knows null, autocorrelation and change.

    python -m benchmarks.detection.delay [--streams 100] [--json OUT]

The CUSUM raises as many false alarms as the bank did on the same null. For ramps it is the best of any
shift it could have been told.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection import oracle
from benchmarks.detection.command import command
from benchmarks.detection.judged import Values, alarms, episodes, judge
from benchmarks.detection.streams import ar

BUDGET = 10_000
ONSET, AFTER = 2500, 300
#: Streams without a change, on which achieved false alarm rates are counted, and their length.
_NULL = (200, 6000)
_NOISES = {"normal": 0.0, "AR(1) 0.5": 0.5, "AR(1) 0.8": 0.8}
_BEFORE, _CHANGED = 0.01, 0.03


class Case(NamedTuple):
    """A change: its streams, its null, the windows its oracle sees, their null, and what it may be told."""

    values: Values
    null: str
    seen: NDArray[Any]
    seen_null: NDArray[Any]
    told: tuple[oracle.Ratios, ...]


def _whitened(values: NDArray[Any], phi: float) -> NDArray[Any]:
    white = values.copy()
    white[1:] = (values[1:] - phi * values[:-1]) / np.sqrt(1 - phi**2)
    return white


def cases(rng: np.random.Generator, streams: int) -> dict[str, Case]:
    """Shifts, ramps and doubled variance on three noises; a ratio that trebles."""
    shape = (ONSET + AFTER, streams)
    after = np.maximum(np.arange(shape[0]) - ONSET + 1, 0)[:, None]
    white = oracle.normal_null(rng)
    out = {}
    for noise, phi in _NOISES.items():
        base = ar(rng, shape, phi)
        lasting = (1 - phi) / np.sqrt(1 - phi**2)
        changes = {f"step {s:g} sd": (base + s * (after > 0), (s * lasting,)) for s in (0.5, 1.0, 2.0, 4.0)}
        for slope in (0.01, 0.05):
            changes[f"ramp {slope:g} sd a window"] = (base + slope * after, (0.25, 0.5, 0.75, 1.0, 1.5))
        for name, (values, shifts) in changes.items():
            told = tuple(oracle.shift(s) for s in shifts)
            out[f"{noise}, {name}"] = Case(values, noise, _whitened(values, phi), white, told)
        wide = base * np.where(after > 0, 2**0.5, 1)
        out[f"{noise}, variance x 2"] = Case(wide, noise, _whitened(wide, phi), white, (oracle.spread(2.0),))
    for trials in (200, 2000):
        p = np.broadcast_to(np.where(after > 0, _CHANGED, _BEFORE), shape)
        hits = rng.binomial(trials, p).astype(float)
        null = rng.binomial(trials, _BEFORE, white.shape)
        told = (oracle.ratio(_BEFORE, _CHANGED, trials),)
        values = (hits, np.full(shape, float(trials)))
        out[f"ratio 1 % to 3 %, {trials} trials"] = Case(values, f"ratio {trials}", hits, null, told)
    return out


def achieved(rng: np.random.Generator) -> dict[str, float]:
    """False alarm onsets a window on each null, at least a tenth of what the budget grants."""
    series, buckets = _NULL
    shape = (buckets, series)
    streams: dict[str, Values] = {name: ar(rng, shape, phi) for name, phi in _NOISES.items()}
    for trials in (200, 2000):
        hits = rng.binomial(trials, _BEFORE, shape).astype(float)
        streams[f"ratio {trials}"] = (hits, np.full(shape, float(trials)))
    onset, _ = episodes(alarms(judge(*streams.values()).rate, BUDGET))
    parts = np.split(onset, len(streams), axis=1)
    return {name: max(part.mean(), 0.1 / BUDGET) for name, part in zip(streams, parts, strict=True)}


def run(streams: int = 100) -> dict[str, Any]:
    """Delays of every case, ours and the oracle's."""
    rng = np.random.default_rng(5)
    rates, many = achieved(rng), cases(rng, streams)
    alarm = alarms(judge(*(case.values for case in many.values())).rate, BUDGET)[ONSET:]
    ours = np.where(alarm.any(0), alarm.argmax(0) + 1.0, np.inf)
    table = {}
    for (name, case), mine in zip(many.items(), np.split(ours, len(many)), strict=True):
        best = []
        for told in case.told:
            limit = oracle.threshold(told(case.seen_null), rates[case.null])
            best.append(float(np.median(oracle.delays(told(case.seen), limit, ONSET))))
        median = float(np.median(mine))
        table[name] = {
            "median": median,
            "oracle": min(best),
            "over_oracle": median / min(best),
            "found_in_100": float((mine <= 100).mean()),
            "false_over_budget": rates[case.null] * BUDGET,
        }
        print(f"{name:34s}", {k: round(v, 2) for k, v in table[name].items()}, flush=True)
    return {"delay": table}


if __name__ == "__main__":
    command(run, __doc__)
