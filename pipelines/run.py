"""``driftline run``: one run on the chosen engine, with its report."""

import importlib
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from operators.clickhouse import Store
from pipelines.config import Config, check_runnable, resolve
from pipelines.engines.job import Job
from pipelines.engines.report import OUTCOMES, Report
from pipelines.errors import UsageError
from pipelines.labels import shares, with_shares
from pipelines.observe import logs, observed

log = logging.getLogger(__name__)

#: Module of each engine, with ``run(job) -> Report``, and the extra that it needs.
ENGINES: dict[str, tuple[str, str]] = {
    "beam": ("pipelines.engines.beam", "beam"),
    "faust": ("pipelines.engines.faust", "faust"),
    "local": ("pipelines.engines.local", ""),
}


def command(
    path: Path | None,
    flags: dict[str, Any],
    *,
    engine_options: tuple[str, ...],
    until_end: bool,
    as_json: bool,
    warm_start: str | None = None,
) -> None:
    """Resolve the config, run, print the report."""
    config = resolve(path, **flags, engine_options=engine_options or None)
    logs.set_up(config.log_format)
    stop = threading.Event()
    with stopped_by_signals(stop), _progress(quiet=as_json) as progress:
        job = Job(config, until_end=until_end, stop=stop, progress=progress, warm_start=warm_start)
        report = start(job)
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        show(report, Console())


def start(job: Job) -> Report:
    """Run a job on its engine, observed where the config says so; `UsageError` when it cannot run it."""
    check_runnable(job.config)
    if job.warm_start and job.config.runner == "dataflow" and job.config.engine == "beam":
        raise UsageError("--warm-start: what was learnt is too large for a job that Dataflow takes")
    chosen = engine(job.config)
    with observed(job.config.observe, job.stop) as meters:
        job = replace(job, config=_labelled(job.config), meters=meters)
        about = {name: getattr(job.config, name) for name in ("engine", "input", "output", "clickhouse")}
        about["config_hash"] = job.config.settings.config_hash()
        log.info("run started: %s on %s", about["engine"], about["input"], extra=about)
        report: Report = chosen.run(job)
        samples = sum(account["in"] for account in report.accounts.values())
        counted = {"samples": samples, "events": report.events, "incidents": report.incidents}
        log.info("run %s: %d samples", report.ending, samples, extra={"ending": report.ending} | counted)
        return report


def _labelled(config: Config) -> Config:
    """The config with what labels say of detectors that keep being wrong."""
    with Store.open(config.clickhouse) as store:
        lowered = shares(store)
    if not lowered:
        return config
    log.warning("labels lower the budget share of %d detectors on their series", len(lowered))
    return msgspec.structs.replace(config, settings=with_shares(config.settings, lowered))


def engine(config: Config) -> Any:
    """The engine's module."""
    if config.engine not in ENGINES:
        raise UsageError(
            f"engine: {config.engine} is not built into this version; one of {', '.join(ENGINES)}"
        )
    if config.engine_options and config.engine != "beam":
        raise UsageError(f"options after -- are Beam's; engine {config.engine} takes none")
    module, extra = ENGINES[config.engine]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as problem:
        if extra and problem.name and problem.name.split(".")[0] not in ("pipelines", "operators", "schemas"):
            raise UsageError(
                f"engine {config.engine} needs the extra: pip install 'driftline[{extra}]'"
            ) from None
        raise


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM ask the run to end cleanly; a second one ends it at once."""

    def ask(number: int, _: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    quiet = quiet or not console.is_terminal  # into a file or a pipe it would leave blank lines
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("reading")

        def tell(time_ms: int | None) -> None:
            if time_ms is not None:
                moment = datetime.fromtimestamp(time_ms / 1000, UTC)
                bar.update(task, description=f"reading, at {moment:%Y-%m-%d %H:%M:%S} UTC")

        yield tell


def show(report: Report, console: Console) -> None:
    """The report for people."""
    table = Table(title="samples", title_justify="left", box=None, pad_edge=False)
    table.add_column("topic")
    for outcome in OUTCOMES:
        table.add_column(outcome, justify="right")
    for topic, account in sorted(report.accounts.items()):
        table.add_row(topic, *(f"{account[outcome]:,}" for outcome in OUTCOMES))
    console.print(table)
    for topic, outcome, reason, samples in report.reasons:
        console.print(f"  {topic}: {samples:,} {outcome}: {reason}", highlight=False)
    events = ", ".join(f"{count} {kind}" for kind, count in sorted(report.events.items())) or "none"
    incidents = (
        ", ".join(f"{count} {severity}" for severity, count in sorted(report.incidents.items())) or "none"
    )
    spent = sum(report.seconds.values())
    console.print(f"\nevents     {events} ({report.revisions:,} revisions, {report.windows:,} windows)")
    console.print(f"incidents  {incidents}")
    console.print(f"series     {report.series:,}, {report.buckets:,} closed buckets")
    speed = f"{report.samples_per_s:,.0f} samples/s"
    console.print(f"run        {report.ending} on {report.engine} in {spent:.1f} s, {speed}")
    if report.savepoint:
        console.print(f"savepoint  {report.savepoint}", soft_wrap=True, highlight=False)
        console.print("           resume: the same command with -- --savepoint_path=… added")
    if report.no_data_s:
        console.print(f"no_data    no telemetry came for {report.no_data_s:.0f} s")
    query = "'SELECT * FROM incidents FINAL ORDER BY started_at'"
    console.print("\nLook further:")
    console.print(
        f"  driftline query --clickhouse {shlex.quote(report.clickhouse)} {query}",
        soft_wrap=True,
        highlight=False,
    )
