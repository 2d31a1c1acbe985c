"""False alarm onsets achieved over granted, by stream and budget, with 95 % intervals.

    python -m benchmarks.detection.false_alarms [--full] [--series 40] [--buckets 8000] [--only NAME …]

Every stream goes through a bank of all default detectors. Onsets of one series come in clumps, so the
interval is Poisson's exact one (Garwood) on onsets divided by their dispersion between series, where that
exceeds one. ``--full`` takes 400 series a stream, and then 16 of each over 100,000 buckets.
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from benchmarks.detection.judged import alarms, episodes, judge
from benchmarks.detection.streams import STREAMS
from pipelines.progress import bar

BUDGETS = (1_000, 10_000, 100_000)
BAR = 1.5
#: (series, buckets) of each stream: quick; and full, many series and long ones.
QUICK = (40, 8_000)
MANY, LONG = (400, 8_000), (16, 100_000)
#: Streams in one bank: as many as memory likes.
TOGETHER = 8

#: Onsets, and windows inside an episode, [windows, series].
Told = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def interval(counts: NDArray[Any]) -> tuple[float, float]:
    """95 % interval of the expected sum of ``counts`` [series], clumped as they are."""
    total, mean = counts.sum(), counts.mean()
    clump = max(counts.var(ddof=1) / mean, 1.0) if mean > 0 and len(counts) > 1 else 1.0
    count = total / clump
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low * clump), float(chi2.ppf(0.975, 2 * count + 2) / 2 * clump)


def row(lead: NDArray[np.int8], told: Told, detectors: Sequence[str], budget: float) -> dict[str, Any]:
    """One line of the table: leading detectors and alarms, [windows, series], at one budget."""
    onset, inside = told
    granted = onset.size / budget
    low, high = interval(onset.sum(0))
    bar = "held" if onset.sum() <= BAR * granted else "MISSED" if low > BAR * granted else "over, unsure"
    names, times = np.unique(lead[onset], return_counts=True)
    led = sorted(zip(times.tolist(), names.tolist(), strict=True), reverse=True)
    return {
        "over_budget": float(onset.sum() / granted),
        "low": low / granted,
        "high": high / granted,
        "onsets": int(onset.sum()),
        "share_in_alarm": float(inside.mean()),
        "first_500": float(onset[:500].sum() / (500 * onset.shape[1] / budget)),
        "led_by": ", ".join(f"{detectors[i].partition('/')[0]} {n}" for n, i in led[:3]),
        "bar": bar,
    }


def run(
    shape: tuple[int, int] = QUICK, only: Sequence[str] = (), seed: int = 1, together: int = TOGETHER
) -> dict[str, Any]:
    """Measure streams at every budget, ``together`` of them in one bank; a row a stream and budget."""
    chosen = [name for name in STREAMS if not only or any(part in name for part in only)]
    series, buckets = shape
    out: dict[str, Any] = {}
    for first in range(0, len(chosen), together):
        names = chosen[first : first + together]
        rngs = [np.random.default_rng([seed, *name.encode()]) for name in names]
        many = (STREAMS[name](rng, (buckets, series)) for name, rng in zip(names, rngs, strict=True))
        title = f"{first + len(names)} of {len(chosen)} streams, {series} series each"
        with bar() as tell:
            judged = judge(*many, progress=partial(tell, title))
        by_budget = [episodes(alarms(judged.rate, budget)) for budget in BUDGETS]
        for place, name in enumerate(names):
            part = slice(place * series, (place + 1) * series)
            lead, cells = judged.lead[:, part], []
            for budget, (onset, inside) in zip(BUDGETS, by_budget, strict=True):
                told = onset[:, part], inside[:, part]
                line = out[f"{name}, 1 in {budget:,}"] = row(lead, told, judged.detectors, budget)
                text = f"{line['over_budget']:6.2f} [{line['low']:.2f}-{line['high']:.2f}]"
                cells.append(f"{text} f{line['first_500']:.1f}{' ' if line['bar'] == 'held' else '*'}")
            led = out[f"{name}, 1 in 10,000"]["led_by"]
            print(f"{name:24s}" + " | ".join(cells), f"{line['share_in_alarm']:.2%} {led}", flush=True)
    return {f"{series} series, {buckets:,} buckets each": out}


def full(only: Sequence[str] = (), seed: int = 1) -> dict[str, Any]:
    """Many series of moderate length, then long ones."""
    return run(MANY, only, seed) | run(LONG, only, seed, together=len(STREAMS))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--series", type=int, default=QUICK[0])
    parser.add_argument("--buckets", type=int, default=QUICK[1])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    only = tuple(chosen.only)
    shape = (chosen.series, chosen.buckets)
    result = full(only, chosen.seed) if chosen.full else run(shape, only, chosen.seed)
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
