"""``driftline backtest``: CSV files through the detectors, a score for every row, and how good that was."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from pipelines.backtest.judge import Judgement, judge, sigma
from pipelines.backtest.replay import Scored, replay
from pipelines.backtest.series import Series, read
from pipelines.errors import UsageError
from pipelines.uncut import uncut

__all__ = ["backtest", "judge", "read", "replay"]

#: Characters of a picture's name: file systems take 255 bytes.
_NAME = 60
_FORMATS = (".png", ".pdf", ".svg")
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
        plot: PNG, PDF or SVG file, or a folder that gets a PNG a series.
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
    if not 1 <= alarm_budget < np.inf:
        raise UsageError(f"--alarm-budget {alarm_budget:g}: at least 1 row between false alarms is needed")
    targets = _targets(files, Path(scores))
    many = [s for file in files for s in read(file, time_column, value_column, series_column, label_column)]
    pictures = _pictures(many, Path(plot)) if plot is not None else []
    with Progress(console=console, transient=True, disable=as_json) as progress:
        task = progress.add_task("backtest", total=sum(len(s.rows) for s in many))
        results = replay(many, alarm_budget, progress=lambda rows: progress.advance(task, rows))
    for file, target in targets.items():
        _write(target, [scored for scored in results if scored.series.file == file])
    report = _report(results, alarm_budget)
    if plot is not None:
        report["plots"] = _draw(results, pictures)
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
        return _apart({files[0]: scores})
    if scores.is_file():
        raise UsageError(f"--scores {scores}: for several files a folder is needed")
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        raise UsageError(
            "backtest: two input files have the same name, and would be one file in the output folder"
        )
    scores.mkdir(parents=True, exist_ok=True)
    return _apart({file: scores / file.name for file in files})


def _apart(targets: dict[Path, Path]) -> dict[Path, Path]:
    for target in targets.values():
        if any(target.resolve() == file.resolve() for file in targets):
            raise UsageError(f"--scores: {target} is an input file; it is not written over")
    return targets


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


def _pictures(many: Sequence[Series], target: Path) -> list[Path]:
    """Where each series is drawn: names that a file system takes, no two alike."""
    if target.suffix in _FORMATS and not target.is_dir():
        if len(many) > 1:
            raise UsageError(f"--plot {target}: for {len(many)} series a folder is needed")
        target.parent.mkdir(parents=True, exist_ok=True)
        return [target]
    target.mkdir(parents=True, exist_ok=True)
    taken: dict[str, int] = {}
    paths = []
    for series in many:
        stem = series.file.stem
        name = stem if series.name == stem else f"{stem}__{series.name}"
        name = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[:_NAME]
        taken[name] = taken.get(name, 0) + 1
        paths.append(target / (f"{name}.png" if taken[name] == 1 else f"{name}~{taken[name]}.png"))
    return paths


def _draw(results: Sequence[Scored], paths: Sequence[Path]) -> list[str]:
    from pipelines.backtest.plot import plot

    for scored, path in zip(results, paths, strict=True):
        plot(scored, path)
    return [str(path) for path in paths]


def _report(results: Sequence[Scored], budget: float) -> dict[str, Any]:
    series = [
        {
            "file": scored.series.file.name,
            "series": scored.series.name,
            "rows": len(scored.series.rows),
            "without_time": int(np.isnan(scored.series.time_s).sum()),
            "without_value": int(np.isnan(scored.series.value).sum()),
            "unread_time": scored.series.unread_time,
            "unread_value": scored.series.unread_value,
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
    several = len({line["file"] for line in report["series"]}) > 1
    for line in report["series"]:
        inside = several and line["series"] != Path(line["file"]).stem
        table.add_row(
            escape(f"{line['file']}: {line['series']}" if inside else line["series"]),
            f"{line['rows']:,}",
            f"{line['step_s']:g} s",
            str(line["episodes"]),
            f"{line['alarm_share']:.1%}",
        )
    uncut(console).print(table)
    for reason, what in (("time", "readable time"), ("value", "number for a value")):
        if rows := sum(line[f"without_{reason}"] for line in report["series"]):
            texts = [line[f"unread_{reason}"] for line in report["series"] if line[f"unread_{reason}"]]
            such = f", such as {escape(repr(texts[0]))}" if texts else ""
            console.print(f"rows with no {what}: {rows:,}{such}; they keep their place and are not judged")
    if "labels" in report:
        console.print(_labelled(report["labels"]))


def _labelled(labels: dict[str, dict[str, float | None]]) -> Table:
    table = Table(title="against the labels, by event")
    table.add_column("")
    heads = {
        "precision": "precision",
        "recall": "recall",
        "f1": "F1",
        "false_per_1000": "false in 1,000 rows",
        "median_delay": "median delay, rows",
        "alarms": "alarms",
        "segments": "labelled events",
        "alarm_share": "rows in alarm",
    }
    for head in heads.values():
        table.add_column(head, justify="right")
    for who, figures in labels.items():
        table.add_row(who, *(_figure(name, figures[name]) for name in heads))
    return table


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" if name == "alarm_share" else f"{value:.3g}"
