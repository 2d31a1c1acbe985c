"""``driftline demo``: a simulated incident day through the real pipeline, and what was made of it."""

import json
import logging
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from operators.clickhouse import Store
from pipelines.config import Config, resolve
from pipelines.demo_view import Day, show
from pipelines.engines.job import Job
from pipelines.engines.report import Report
from pipelines.errors import UsageError
from pipelines.evaluate.recorded import incidents as read_incidents
from pipelines.evaluate.scoring import judge
from pipelines.progress import bar
from pipelines.run import start, stopped_by_signals
from pipelines.simulate import DEMO_SCENARIOS, read_labels, simulate
from pipelines.simulate.timeline import parse_all, schedule
from schemas.rows import read_events

#: Written into the demo's folder, so that a later demo may replace it and nothing else.
MARK = "made-by-driftline-demo"
_EVENTS = "SELECT * FROM anomaly_events FINAL WHERE event_id IN ({ids})"
_SIMULATED = 0.15
#: Columns where the output is no terminal.
WIDTH = 150


def command(out: Path, seed: int, *, as_json: bool) -> None:
    """Simulate, run, show."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    began = time.monotonic()
    _prepare(out)
    stop = threading.Event()
    with stopped_by_signals(stop), bar(quiet=as_json) as tell:
        simulate(
            DEMO_SCENARIOS,
            seed,
            out / "telemetry",
            format="arrow",
            progress=lambda text, part: tell(text, part * _SIMULATED),
        )
        labels = read_labels(out / "telemetry" / "labels.json")
        days = schedule(parse_all(DEMO_SCENARIOS), seed)[1] / 86_400
        begin_ms = min(label.onset for label in labels)
        end_ms = max(label.end for label in labels)

        def reading(time_ms: int | None) -> None:
            part = ((time_ms or 0) - begin_ms) / (end_ms - begin_ms)
            tell("running the pipeline", _SIMULATED + (0.97 - _SIMULATED) * min(max(part, 0.0), 1.0))

        config = resolve(
            input=str(out / "telemetry"),
            output=str(out / "topics"),
            clickhouse=f"chdb:{out / 'clickhouse'}",
            engine="beam",
            runner="fnapi",
        )
        reading(None)
        report = start(Job(config, until_end=True, stop=stop, progress=reading))
    if stop.is_set():
        raise KeyboardInterrupt
    versions = list(read_incidents(out / "topics"))
    judged = judge(labels, versions, days=days, series=report.series)
    latest = {body["incident_id"]: body for body in sorted(versions, key=lambda body: body["version"])}
    day = Day(
        out, config.clickhouse, labels, judged, latest, _events(config, judged), time.monotonic() - began
    )
    if as_json:
        print(json.dumps(_plain(day, report)))
    else:
        console = Console()
        show(day, report, console if console.is_terminal else Console(width=WIDTH))


def _prepare(out: Path) -> None:
    """An empty folder: a new one, an empty one, or one that an earlier demo made."""
    if out.exists() and not (out / MARK).exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out: {out} is no folder of an earlier demo and is not empty; name another")
    for name in ("telemetry", "topics", "clickhouse"):
        shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()


def _events(config: Config, judged: Any) -> dict[str, Any]:
    """The anomaly events behind the incidents that answer a label, by id."""
    answers = [outcome.answer for outcome in judged.outcomes if outcome.answer]
    ids = {str(event) for answer in answers for event in answer.last["event_ids"]}
    if not ids:
        return {}
    listed = ", ".join(f"toUUID('{event}')" for event in sorted(ids))
    with Store.open(config.clickhouse) as store:
        return {str(event.event_id): event for event in read_events(store.query(_EVENTS.format(ids=listed)))}


def _plain(day: Day, report: Report) -> dict[str, Any]:
    return {
        "out": str(day.out),
        "report": msgspec.to_builtins(report),
        "incidents": list(day.incidents.values()),
        "events": [msgspec.to_builtins(event) for event in day.events.values()],
        "labels": [
            msgspec.to_builtins(outcome.label)
            | {
                "raised_at": outcome.raised_at,
                "in_time": outcome.in_time,
                "incident_id": outcome.answer and outcome.answer.incident_id,
            }
            for outcome in day.judged.outcomes
        ],
        "false_pages": day.judged.false_pages,
        "seconds": round(day.seconds, 1),
    }
