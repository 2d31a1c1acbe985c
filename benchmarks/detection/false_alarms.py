"""False alarm onsets achieved over expected, by stream and budget, with 95 % Poisson intervals.

python -m benchmarks.detection.false_alarms [--streams 30] [--buckets 8000] [--only NAME] [--json OUT]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from benchmarks.detection.streams import PERIOD_S, STREAMS
from operators.detection import Bank, WindowValues
from operators.detection.budget import Budget
from operators.series import SeriesKey
from operators.settings import Detection
from pipelines.backtest.episodes import episodes
from pipelines.backtest.replay import CLEAR

BUDGETS = (1_000, 10_000, 100_000)


def interval(count: int) -> tuple[float, float]:
    """Exact 95 % interval of a Poisson mean."""
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low), float(chi2.ppf(0.975, 2 * count + 2) / 2)


def windows(values: Any) -> list[WindowValues]:
    """A stream's windows; a pair is (hits, trials)."""
    if isinstance(values, tuple):
        hits, trials = values
        return [WindowValues(h / n, n, h, np.zeros(len(h))) for h, n in zip(hits, trials, strict=True)]
    return [WindowValues.plain(row) for row in values]


def rates(
    many: list[WindowValues], detection: Detection | None = None
) -> tuple[NDArray[Any], NDArray[Any], Bank]:
    """Event rates and leading detectors, [buckets, streams]."""
    bank = Bank(detection or Detection(), PERIOD_S)
    count = len(many[0].value)
    kind = "gauge" if np.isnan(many[0].hits).all() else "ratio"
    rows = bank.add([SeriesKey("t", "s", str(i), None, (), kind, "1") for i in range(count)], 0)
    rate, lead = np.ones((len(many), count)), np.zeros((len(many), count), int)
    for t, window in enumerate(many):
        verdicts = bank.step(t * PERIOD_S * 1000, rows, window)
        rate[t], lead[t] = verdicts.p_value, verdicts.detector
    return rate, lead, bank


def onsets(rate: NDArray[Any], budget: float) -> tuple[int, float, list[tuple[int, int]]]:
    """Episodes, share of rows inside, and their (bucket, stream), with the bank's own feedback."""
    count = rate.shape[1]
    state = {"n": np.zeros(count), "own_events": np.zeros(count), "quiet": np.full(count, 1e9)}
    law, alarm, active = Budget(budget), np.zeros(rate.shape, bool), np.ones(count, bool)
    for t, row in enumerate(rate):
        state["n"] += 1
        alarm[t] = law.decide(state, row, active)
    places, inside = [], 0.0
    for i in range(count):
        flags, starts = episodes(alarm[:, i], np.ones(len(rate), bool), CLEAR)
        places += [(start, i) for start in starts]
        inside += flags.mean() / count
    return len(places), inside, places


def run(streams: int = 30, buckets: int = 8000, only: tuple[str, ...] = (), seed: int = 1) -> dict[str, Any]:
    """Measure every stream at every budget."""
    out: dict[str, Any] = {}
    for name, make in STREAMS.items():
        if only and not any(part in name for part in only):
            continue
        rng = np.random.default_rng([seed, *name.encode()])
        rate, lead, bank = rates(windows(make(rng, (buckets, streams))))
        out[name] = {}
        for budget in BUDGETS:
            count, inside, places = onsets(rate, budget)
            expected = streams * buckets / budget
            low, high = interval(count)
            by: dict[str, int] = {}
            for t, i in places:
                by[bank.detector_ids[lead[t, i]]] = by.get(bank.detector_ids[lead[t, i]], 0) + 1
            out[name][str(budget)] = {
                "ratio": count / expected,
                "low": low / expected,
                "high": high / expected,
                "share": inside,
                "first_500": sum(t < 500 for t, _ in places) / (streams * 500 / budget),
                "by": by,
            }
        cells = [
            f"{r['ratio']:6.2f} [{r['low']:.2f}-{r['high']:.2f}] {r['share']:6.2%} f{r['first_500']:.1f}"
            for r in out[name].values()
        ]
        print(f"{name:24s}" + " | ".join(cells), out[name]["10000"]["by"], flush=True)
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=30)
    parser.add_argument("--buckets", type=int, default=8000)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = run(arguments.streams, arguments.buckets, tuple(arguments.only))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
