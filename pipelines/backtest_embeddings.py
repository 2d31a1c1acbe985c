"""``driftline backtest-embeddings``: vectors of a file, the first as reference, a score for every window."""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress

from operators.embedding.vectors import directions
from pipelines.backtest.stamps import unix_s
from pipelines.errors import UsageError

COLUMNS = ("window_start_row", "window_end_row", "score", "p_value", "alarm")
#: Wider vectors are projected to so many dimensions first, as in the pipeline.
WIDTH = 384
_READ_ROWS = 65_536

Vectors = npt.NDArray[np.floating]


def backtest_embeddings(
    vectors: Path,
    *,
    reference_rows: int,
    window: int,
    scores: Path,
    times: Path | None = None,
    alarm_budget: float = 10_000.0,
    as_json: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Score tumbling windows behind the reference; a shorter last one is left out.

    Args:
        vectors: ``.npy`` file, [rows, dimensions] of float16, float32 or float64, in the order of time.
        reference_rows: First rows, taken as they should be.
        window: Rows of a window.
        scores: CSV file to write, columns `COLUMNS`; rows are 0-based, the end exclusive.
        times: CSV file with a header and one time a row in its first column; only their order is checked.
        alarm_budget: Windows between false alarms: a window alarms at a p-value of one over this.
        as_json: Print JSON instead of a sentence.
        console: Where to print.

    Returns:
        What ``as_json`` prints.

    Raises:
        UsageError: A file or a number is wrong; the message says what would be right.
    """
    from gpu_scorers.lone import BATCH, LEAST_ROWS, LoneSeries

    console = console or Console()
    rows = _open(vectors)
    if reference_rows < LEAST_ROWS:
        raise UsageError(f"--reference-rows {reference_rows}: at least {LEAST_ROWS} are needed")
    if window < 1:
        raise UsageError(f"--window {window}: at least 1 row is needed")
    if not alarm_budget >= 1:
        raise UsageError(f"--alarm-budget {alarm_budget:g}: at least 1 window between false alarms is needed")
    if len(rows) < reference_rows + window:
        raise UsageError(
            f"{vectors}: {len(rows)} rows; {reference_rows} of reference and a window of {window} need "
            f"at least {reference_rows + window}"
        )
    _check_finite(rows, vectors)
    if times is not None:
        _check_times(times, len(rows))
    prepare = _Preparation(rows[:reference_rows])
    try:
        series = LoneSeries(prepare(rows[:reference_rows]), window)
    except ValueError as error:
        raise UsageError(f"{vectors}: the reference cannot be used: {error}") from error
    count = (len(rows) - reference_rows) // window

    def batches() -> Iterator[Vectors]:
        for first in range(0, count, BATCH):
            some = min(BATCH, count - first)
            start = reference_rows + first * window
            yield prepare(rows[start : start + some * window]).reshape(some, window, -1)

    p: list[float] = []
    with Progress(console=console, transient=True, disable=as_json) as progress:
        task = progress.add_task("backtest-embeddings", total=count)
        for part in series.p_values(batches()):
            p.extend(part.tolist())
            progress.advance(task, len(part))
    alarms = _write(scores, p, reference_rows, window, series.smallest_p, alarm_budget)
    report = {
        "windows": count,
        "alarms": alarms,
        "alarm_budget": alarm_budget,
        "run_length": series.run,
        "smallest_p": series.smallest_p,
        "calibration": "extrapolated" if series.smallest_p <= 1 / alarm_budget else "prior",
        "scores": str(scores),
    }
    if as_json:
        console.file.write(json.dumps(report, indent=2) + "\n")
    else:
        console.print(_told(report))
    return report


class _Preparation:
    """Rows as the scorers take them: of usual length 1, and no wider than `WIDTH`."""

    def __init__(self, reference: Vectors) -> None:
        norms = np.linalg.norm(np.asarray(reference, np.float64), axis=1)
        self._scale = float(np.median(norms)) or 1.0
        dim = reference.shape[1]
        self._directions = directions("backtest-embeddings", dim, WIDTH) if dim > WIDTH else None

    def __call__(self, rows: Vectors) -> Vectors:
        scaled = (np.asarray(rows, np.float64) / self._scale).clip(-1e6, 1e6).astype(np.float32)
        return scaled if self._directions is None else scaled @ self._directions


def _open(path: Path) -> Vectors:
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path}: not a readable .npy file of numbers ({error})") from error
    if not isinstance(rows, np.ndarray):
        raise UsageError(f"{path}: one .npy array is needed, not an archive of several")
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise UsageError(f"{path}: shape {rows.shape}; [rows, dimensions] is needed")
    if rows.dtype not in (np.float16, np.float32, np.float64):
        raise UsageError(f"{path}: numbers are {rows.dtype}; float16, float32 or float64 are needed")
    return rows


def _check_finite(rows: Vectors, path: Path) -> None:
    for start in range(0, len(rows), _READ_ROWS):
        bad = np.flatnonzero(~np.isfinite(rows[start : start + _READ_ROWS]).all(axis=1))
        if len(bad):
            raise UsageError(f"{path}: row {start + int(bad[0])} (0-based) has NaN or infinite numbers")


def _check_times(path: Path, rows: int) -> None:
    """Times are there to be checked: windows are of rows, and rows must lie in the order of time."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))[1:]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a readable CSV file ({error})") from error
    if len(lines) != rows:
        raise UsageError(
            f"{path}: {len(lines)} times for {rows} vectors; a header and one time a row are needed"
        )
    last = -math.inf
    for number, line in enumerate(lines, start=2):
        time = unix_s(line[0].strip()) if line else math.nan
        if math.isnan(time):
            raise UsageError(
                f"{path}: line {number}: an RFC 3339 time or Unix milliseconds are needed in the first column"
            )
        if time < last:
            raise UsageError(f"{path}: line {number}: earlier than the line before")
        last = time


def _write(path: Path, p: list[float], first: int, window: int, smallest: float, budget: float) -> int:
    """Write the scores and return the number of alarms. The score ranks below the smallest p-value too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    alarms = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, value in enumerate(p):
            claimed = max(value, smallest)
            alarm = claimed <= 1 / budget
            alarms += alarm
            start = first + number * window
            score = max(0.0, -math.log10(value))
            writer.writerow((start, start + window, f"{score:.6f}", f"{claimed:.6g}", int(alarm)))
    return alarms


def _told(report: dict[str, Any]) -> str:
    text = f"{report['windows']} windows, {report['alarms']} in alarm; topics stay for about "
    text += f"{report['run_length']:.0f} rows. Scores: {report['scores']}"
    if report["calibration"] == "prior":
        text += (
            f"\nReference or window hold too few independent stretches for this budget: no p-value below "
            f"{report['smallest_p']:.2g} can be claimed. More rows in both or a smaller budget help."
        )
    return text
