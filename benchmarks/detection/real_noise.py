"""Onsets on real noise of unchanged machines, in time order and block-shuffled, over what the budget grants.

    python -m benchmarks.detection.real_noise FOLDER [--block 24] [--plots FOLDER] [--json OUT]

FOLDER holds CSV files with the columns value, starttime, VM_id.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.backtest import read, replay
from pipelines.backtest.plot import plot
from pipelines.backtest.series import Series

BUDGETS = (1_000, 10_000)


def shuffled(series: Series, block: int, rng: np.random.Generator) -> Series:
    """The same values in blocks of ``block``, in random order, at the same times."""
    order = np.argsort(series.time_s, kind="stable")
    count = len(order) // block
    places = (rng.permutation(count)[:, None] * block + np.arange(block)).ravel()
    value = series.value.copy()
    value[order[: count * block]] = series.value[order[places]]
    return dataclasses.replace(series, value=value)


def run(folder: Path, block: int = 24, plots: Path | None = None) -> dict[str, Any]:
    """Achieved over expected onsets by file, order and budget."""
    rng = np.random.default_rng(11)
    many = [
        s for file in sorted(folder.glob("*.csv")) for s in read(file, "starttime", "value", "VM_id", None)
    ]
    out: dict[str, Any] = {}
    for order, chosen in (("time", many), ("shuffled", [shuffled(s, block, rng) for s in many])):
        for budget in BUDGETS:
            results = replay(chosen, budget)
            files: dict[str, list[float]] = {}
            for scored in results:
                onsets = len(set(scored.event) - {None})
                counts = files.setdefault(scored.series.file.stem, [0.0, 0.0])
                counts[0] += onsets
                counts[1] += len(scored.series.rows) / budget
                if plots is not None and order == "time" and budget == BUDGETS[-1] and onsets:
                    plots.mkdir(parents=True, exist_ok=True)
                    plot(scored, plots / f"{scored.series.file.stem}__{scored.series.name}.png")
            total = np.sum(list(files.values()), axis=0)
            ratios = {name: got / expected for name, (got, expected) in files.items()}
            out[f"{order} {budget}"] = {"all": total[0] / total[1], **ratios}
            print(
                order, budget, f"all {total[0] / total[1]:.2f}", {k: round(v, 1) for k, v in ratios.items()}
            )
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--block", type=int, default=24)
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = run(arguments.folder, arguments.block, arguments.plots)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
