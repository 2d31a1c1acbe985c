"""Event F1 on labelled monitoring series, and how well the score ranks, beside trailing-window baselines.

    python -m benchmarks.detection.labelled FOLDER [--budget 10000] [--json OUT]

FOLDER holds CSV files with the columns TimeStamp, Value, Label.
"""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection.command import command
from pipelines.backtest import compare, judge, read, replay
from pipelines.backtest.judge import Judgement
from pipelines.backtest.replay import Scored


def best_threshold(results: list[Scored]) -> float:
    """The best event F1 that one threshold on the score gives over all series."""
    best = 0.0
    for threshold in np.arange(1.5, 15, 0.25):
        total = Judgement()
        for scored in results:
            if scored.series.label is not None:
                total += judge(scored.score >= threshold, scored.series.label)
        best = max(best, total.summary()["f1"] or 0.0)
    return best


def average_precision(results: list[Scored]) -> float:
    """Mean point average precision of the score over the series that have labelled points."""
    out = []
    for scored in results:
        label = scored.series.label
        if label is not None and label.any():
            ranked = label[np.argsort(-scored.score, kind="stable")]
            out.append((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())
    return float(np.mean(out))


def run(folder: Path, budget: float = 10_000) -> dict[str, Any]:
    """Judge all files of ``folder``."""
    many = [
        s for file in sorted(folder.glob("*.csv")) for s in read(file, "TimeStamp", "Value", None, "Label")
    ]
    results = replay(many, budget)
    groups = {
        "all": results,
        "with labels": [r for r in results if r.series.label is not None and r.series.label.any()],
        "latency": [r for r in results if "latency" in r.series.name],
    }
    out: dict[str, Any] = {}
    for name, group in groups.items():
        out[name] = {who: total.summary() for who, total in compare(group).items()}
        for who, figures in out[name].items():
            shown = {k: round(v, 3) for k, v in figures.items() if v is not None}
            print(f"{name:12s} {who:10s}", shown)
    out["score"] = {
        "best_single_threshold_f1": best_threshold(groups["all"]),
        "average_precision": average_precision(results),
    }
    print("score", {k: round(v, 3) for k, v in out["score"].items()})
    return out


if __name__ == "__main__":
    command(run, __doc__)
