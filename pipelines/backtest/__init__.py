"""``driftline backtest``: CSV files through the detectors, a score for every row, and how good that was."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pipelines.backtest.judge import Judgement, judge, sigma
from pipelines.backtest.replay import Scored, replay
from pipelines.backtest.series import read
from pipelines.errors import UsageError

__all__ = ["backtest", "judge", "read", "replay"]

COLUMNS = ("series", "time", "value", "score", "p_value", "alarm", "event_id")


def backtest(
    files: Sequence[Path],
    *,
    time_column: str,
    value_column: str,
    scores: Path,
    series_column: str | None = None,
    label_column: str | None = None,
    alarm_budget: float = 10_000.0,
    plot: Path | None = None,
    as_json: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Score ``files`` into ``scores`` and print how it went.

    Args:
        files: CSV files with a header line.
        time_column: times; without a zone they are UTC.
        value_column: numbers; anything else is a missing value.
        scores: a CSV file, or for several files a folder that gets one CSV a file, of the same name.
        series_column: tells the series of one file apart.
        label_column: 1 = anomalous; never seen by the detectors.
        alarm_budget: rows between false alarm onsets of a series.
        plot: PNG file, or folder for several series.
        as_json: print JSON instead of tables.
        console: where to print.

    Returns:
        What ``as_json`` prints.

    Raises:
        UsageError: when a file, a column or the budget is wrong.
    """
    console = console or Console()
    files = [Path(file) for file in files]
    if not files:
        raise UsageError("backtest: no file given")
    if alarm_budget < 1:
        raise UsageError(f"--alarm-budget {alarm_budget:g}: at least 1 row between false alarms is needed")
    targets = _targets(files, Path(scores))
    many = [s for file in files for s in read(file, time_column, value_column, series_column, label_column)]
    with Progress(console=console, transient=True, disable=as_json) as progress:
        task = progress.add_task("backtest", total=sum(len(s.rows) for s in many))
        results = replay(many, alarm_budget, progress=lambda rows: progress.advance(task, rows))
    for file, target in targets.items():
        _write(target, [scored for scored in results if scored.series.file == file])
    report = _report(results, alarm_budget)
    if plot is not None:
        report["plots"] = _plots(results, Path(plot))
    if as_json:
        console.file.write(json.dumps(report, indent=2) + "\n")
    else:
        _print(report, console)
    return report


def _targets(files: Sequence[Path], scores: Path) -> dict[Path, Path]:
    if len(set(files)) < len(files):
        raise UsageError("backtest: the same file is given twice")
    if len(files) == 1 and not scores.is_dir():
        scores.parent.mkdir(parents=True, exist_ok=True)
        return {files[0]: scores}
    if scores.is_file():
        raise UsageError(f"--scores {scores}: for several files a folder is needed")
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        raise UsageError(
            "backtest: two input files have the same name, and would be one file in the output folder"
        )
    scores.mkdir(parents=True, exist_ok=True)
    return {file: scores / file.name for file in files}


def _write(path: Path, results: Sequence[Scored]) -> None:
    total = sum(len(scored.series.rows) for scored in results)
    lines: list[tuple[Any, ...]] = [()] * total
    for scored in results:
        series = scored.series
        for i, row in enumerate(series.rows.tolist()):
            value = series.value[i]
            lines[row] = (
                series.name,
                series.time_text[i],
                "" if np.isnan(value) else repr(float(value)),
                f"{scored.score[i]:.6f}",
                f"{scored.p_value[i]:.6g}",
                int(scored.alarm[i]),
                scored.event[i] or "",
            )
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines)


def _plots(results: Sequence[Scored], target: Path) -> list[str]:
    from pipelines.backtest.plot import plot

    if len(results) == 1 and target.suffix == ".png":
        plot(results[0], target)
        return [str(target)]
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for scored in results:
        name = "".join(c if c.isalnum() or c in "._-" else "_" for c in scored.series.name)
        stem = scored.series.file.stem
        paths.append(target / (f"{name}.png" if name == stem else f"{stem}__{name}.png"))
        plot(scored, paths[-1])
    return [str(path) for path in paths]


def _report(results: Sequence[Scored], budget: float) -> dict[str, Any]:
    series = [
        {
            "file": scored.series.file.name,
            "series": scored.series.name,
            "rows": len(scored.series.rows),
            "without_time": int(np.isnan(scored.series.time_s).sum()),
            "without_value": int(np.isnan(scored.series.value).sum()),
            "step_s": scored.step_s,
            "episodes": len(set(scored.event) - {None}),
            "alarm_share": float(scored.alarm.mean()) if len(scored.alarm) else 0.0,
        }
        for scored in results
    ]
    report: dict[str, Any] = {"alarm_budget": budget, "series": series}
    if any(scored.series.label is not None for scored in results):
        report["labels"] = {name: total.summary() for name, total in compare(results).items()}
    return report


def compare(results: Sequence[Scored]) -> dict[str, Judgement]:
    """Judgements over all labelled series: ours, and the baselines'."""
    totals: dict[str, Judgement] = dict.fromkeys(("driftline", "3 sigma", "6 sigma", "always"), Judgement())
    for scored in results:
        label = scored.series.label
        if label is None:
            continue
        order = np.argsort(scored.series.time_s, kind="stable")
        value = scored.series.value[order]
        alarms = {
            "driftline": scored.alarm[order],
            "3 sigma": sigma(value, 3.0),
            "6 sigma": sigma(value, 6.0),
            "always": np.ones(len(value), bool),
        }
        for name, alarm in alarms.items():
            totals[name] += judge(alarm, label[order])
    return totals


def _print(report: dict[str, Any], console: Console) -> None:
    table = Table(title=f"alarm budget: one false onset in {report['alarm_budget']:,.0f} rows")
    for name in ("series", "rows", "step", "episodes", "rows in alarm"):
        table.add_column(name, justify="left" if name == "series" else "right")
    for line in report["series"]:
        table.add_row(
            line["series"],
            f"{line['rows']:,}",
            f"{line['step_s']:g} s",
            str(line["episodes"]),
            f"{line['alarm_share']:.1%}",
        )
    if not console.is_terminal:
        console.width = 200  # into a file or a pipe nothing is cut
    console.print(table)
    for reason, what in (("without_time", "readable time"), ("without_value", "number for a value")):
        if rows := sum(line[reason] for line in report["series"]):
            console.print(f"rows with no {what}: {rows:,}, which keep their place and are not judged")
    if "labels" in report:
        console.print(_labelled(report["labels"]))


def _labelled(labels: dict[str, dict[str, float | None]]) -> Table:
    table = Table(title="against the labels, by event")
    table.add_column("")
    heads = {"false_per_1000": "false in 1,000 rows", "median_delay": "median delay, rows"}
    names = ("precision", "recall", "f1", "false_per_1000", "median_delay", "alarms", "segments")
    for name in names:
        table.add_column(heads.get(name, name), justify="right")
    for who, figures in labels.items():
        values = [figures[name] for name in names]
        table.add_row(who, *("–" if value is None else f"{value:.3g}" for value in values))
    return table
