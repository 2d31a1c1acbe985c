"""Onsets on real noise of unchanged machines, in time order and block-shuffled, over what the budget grants.

    python -m benchmarks.detection.real_noise FOLDER [--block 24] [--sheets docs/img] [--json OUT]

FOLDER holds CSV files with the columns value, starttime, VM_id. Nothing was done to these machines, yet their
figures move: in time order each onset is put to a rule that knows nothing of the detectors (`moved`), and the
same rule to every other row, which says how often it is right by chance. Intervals are 95 %, as in
`benchmarks.detection.false_alarms`.
"""

import argparse
import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.false_alarms import interval
from pipelines.backtest import read, replay
from pipelines.backtest.replay import Scored
from pipelines.backtest.series import Series

BUDGETS = (1_000, 10_000)
#: Rows before a row that say what was usual, rows from it on that say whether that moved.
BEFORE, AFTER = 100, 24
#: Robust deviations between the two medians; ratio of the two spreads; robust deviations of a lone value, and
#: the rows before that must hold none like it.
LEVEL, SPREAD, LONE, ALONE = 2.0, 2.0, 8.0, 1000
KINDS = {"level": "#1f77b4", "spread": "#2ca02c", "lone": "#ff7f0e", "none": "#d62728"}
ROWS, COLUMNS = 8, 3


def shuffled(series: Series, block: int, rng: np.random.Generator) -> Series:
    """The same values in blocks of ``block``, in random order, at the same times."""
    order = np.argsort(series.time_s, kind="stable")
    count = len(order) // block
    places = (rng.permutation(count)[:, None] * block + np.arange(block)).ravel()
    value = series.value.copy()
    value[order[: count * block]] = series.value[order[places]]
    return dataclasses.replace(series, value=value)


def moved(value: NDArray[np.float64], row: int) -> str:
    """How a series [n] visibly moves at ``row``: its "level", its "spread", a "lone" value, or "none".

    The next 24 rows against the 100 before: medians more than 2 robust deviations apart; median absolute
    deviations more than 2 times apart; or, within 3 rows, a value more than 8 robust deviations away and
    beyond all of the last 1,000 rows.
    """
    before, after = value[max(row - BEFORE, 0) : row], value[row : row + AFTER]
    if len(before) < AFTER or len(after) < AFTER // 2:
        return "none"
    centre, ahead = np.median(before), np.median(after)
    near, far = (np.median(np.abs(x - m)) for x, m in ((before, centre), (after, ahead)))
    usual = max(1.4826 * near, 1e-12)
    if abs(ahead - centre) > LEVEL * usual:
        return "level"
    if max(near, far) > SPREAD * max(min(near, far), 1e-12):
        return "spread"
    late, here = value[max(row - ALONE, 0) : row], after[:3]
    far = here[np.abs(here - centre) > LONE * usual]
    return "lone" if far.size and (far.max() > late.max() or far.min() < late.min()) else "none"


def onsets(scored: Scored) -> list[int]:
    """Rows, in time order, at which episodes begin."""
    order = np.argsort(scored.series.time_s, kind="stable")
    seen: dict[Any, int] = {}
    for row, place in enumerate(order.tolist()):
        if scored.event[place] is not None:
            seen.setdefault(scored.event[place], row)
    return list(seen.values())


def judged(results: Sequence[Scored]) -> list[list[tuple[int, str]]]:
    """For each series: its onsets, and how it moves there."""
    values = [r.series.value[np.argsort(r.series.time_s, kind="stable")] for r in results]
    return [[(row, moved(value, row)) for row in onsets(r)] for r, value in zip(results, values, strict=True)]


def line(many: Iterable[Scored], found: Iterable[Sequence[Any]], budget: float) -> dict[str, Any]:
    """Onsets over those granted, of some series together."""
    counts = np.array([len(rows) for rows in found])
    granted = sum(len(scored.series.rows) for scored in many) / budget
    low, high = interval(counts)
    return {
        "onsets": int(counts.sum()),
        "over_budget": counts.sum() / granted,
        "low": low / granted,
        "high": high / granted,
    }


def kinds(found: Iterable[Sequence[tuple[int, str]]]) -> dict[str, int]:
    """How many onsets are where a series moves in which way."""
    count = Counter(kind for rows in found for _, kind in rows)
    return {kind: count[kind] for kind in KINDS}


def by_chance(results: Sequence[Scored]) -> dict[str, float]:
    """Share of all rows at which the rule sees each kind of movement."""
    count: Counter[str] = Counter()
    for scored in results:
        value = scored.series.value[np.argsort(scored.series.time_s, kind="stable")]
        count.update(moved(value, row) for row in range(BEFORE, len(value) - AFTER, 5))
    return {kind: count[kind] / count.total() for kind in KINDS}


def sheets(results: Sequence[Scored], found: Sequence[Sequence[tuple[int, str]]], folder: Path) -> list[Path]:
    """Pictures of every series, onsets coloured by how the series moves there."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    paths, page = [], ROWS * COLUMNS
    for number, first in enumerate(range(0, len(results), page), 1):
        figure = Figure(figsize=(18, 20), layout="constrained")
        FigureCanvasAgg(figure)
        legend = ", ".join(f"{kind} ({colour})" for kind, colour in zip(KINDS, _NAMES, strict=True))
        figure.suptitle(f"onsets at one in {BUDGETS[-1]:,} rows, by how the series moves there: {legend}")
        cells = figure.subplots(ROWS, COLUMNS).ravel()
        for cell, scored, rows in zip(cells, results[first:], found[first:], strict=False):
            _draw(cell, scored, rows)
        paths.append(folder / f"real_noise_{number}.png")
        figure.savefig(paths[-1], dpi=50)
    return paths


_NAMES = ("blue", "green", "orange", "red")


def _draw(cell: Any, scored: Scored, rows: Sequence[tuple[int, str]]) -> None:
    value = scored.series.value[np.argsort(scored.series.time_s, kind="stable")]
    cell.plot(value, color="#444444", lw=0.4)
    low, high = np.quantile(value, (0.002, 0.998))
    cell.set_ylim(low - 0.2 * (high - low), high + 0.2 * (high - low))
    for row, kind in rows:
        cell.axvline(row, color=KINDS[kind], lw=1.2, alpha=0.8)
    cell.set_title(f"{scored.series.file.stem} {scored.series.name[:12]}: {len(rows)}", fontsize=8)
    cell.tick_params(labelsize=6)
    cell.margins(x=0)


def run(folder: Path, block: int = 24, pictures: Path | None = None) -> dict[str, Any]:
    """Achieved over granted onsets by order and budget, by file, and what the series does at onsets."""
    rng = np.random.default_rng(11)
    many = [
        s for file in sorted(folder.glob("*.csv")) for s in read(file, "starttime", "value", "VM_id", None)
    ]
    total: dict[str, Any] = {}
    by_file: dict[str, Any] = {}
    out: dict[str, Any] = {"all 48 series": total, "by file, 1 in 10,000": by_file}
    for order, chosen in (("time order", many), ("block-shuffled", [shuffled(s, block, rng) for s in many])):
        for budget in BUDGETS:
            results = replay(chosen, budget)
            found = judged(results)
            total[f"{order}, 1 in {budget:,}"] = line(results, found, budget) | kinds(found)
            print(f"{order}, 1 in {budget:,}", total[f"{order}, 1 in {budget:,}"], flush=True)
            if budget != BUDGETS[-1]:
                continue
            for stem in dict.fromkeys(scored.series.file.stem for scored in results):
                of = [i for i, scored in enumerate(results) if scored.series.file.stem == stem]
                picked, rows = [results[i] for i in of], [found[i] for i in of]
                if order == "time order":
                    by_file[stem] = line(picked, rows, budget) | kinds(rows)
                else:
                    by_file[stem]["shuffled"] = line(picked, rows, budget)["over_budget"]
            if order == "time order":
                out["share of all rows where the rule sees it"] = {"by chance": by_chance(results)}
                if pictures is not None:
                    print(*sheets(results, found, pictures))
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--block", type=int, default=24)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = run(arguments.folder, arguments.block, arguments.sheets)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
