"""The ``driftline`` command: options here, bodies in modules of their own that are imported when they run.

Exit codes: 0 done, 1 failed, 2 wrong use or wrong config.
"""

import logging
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines import cli_data, cli_dlq, cli_sentinels, cli_stack, cli_topics
from pipelines.cli_options import ClickHouse, ConfigFile, Input, Json
from pipelines.errors import UsageError

app = typer.Typer(
    name="driftline",
    help="Streaming drift and degradation detection for GenAI inference telemetry.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"driftline {version('driftline')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="show the version", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Options of no command."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="where everything goes")] = Path(
        "demo-out"
    ),
    seed: Annotated[int, typer.Option("--seed", help="same seed, same day")] = 1,
    json: Json = False,
) -> None:
    """Run a simulated incident day, show what is found."""
    from pipelines import demo

    demo.command(out, seed, as_json=json)


@app.command()
def run(
    config: ConfigFile = None,
    input: Input = None,
    clickhouse: ClickHouse = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", metavar="DIR|kafka://HOST:PORT", help="where anomalies, incidents and dead letters go"
        ),
    ] = None,
    engine: Annotated[
        Literal["beam", "faust", "local"] | None, typer.Option("--engine", help="default beam")
    ] = None,
    runner: Annotated[
        Literal["fnapi", "flink", "dataflow"] | None, typer.Option("--runner", help="of Beam; default fnapi")
    ] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="stop when the input is read")] = False,
    warm_start: Annotated[
        str | None,
        typer.Option(
            "--warm-start",
            metavar="7d|DIR",
            help="learn from so much of what ClickHouse holds, or a recording, before a start without state",
        ),
    ] = None,
    observe: Annotated[
        str | None,
        typer.Option("--observe", metavar="HOST:PORT", help="serve /metrics, /healthz and /readyz there"),
    ] = None,
    log_format: Annotated[
        Literal["text", "json"] | None, typer.Option("--log-format", help="default text")
    ] = None,
    json: Json = False,
    engine_options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ENGINE OPTIONS]", help="given to the engine as they are"),
    ] = None,
) -> None:
    """Telemetry in, anomaly events and incidents out."""
    from pipelines import run

    run.command(
        config,
        {
            "input": input,
            "clickhouse": clickhouse,
            "output": output,
            "engine": engine,
            "runner": runner,
            "observe": observe,
            "log_format": log_format,
        },
        engine_options=tuple(engine_options or ()),
        warm_start=warm_start,
        until_end=until_end,
        as_json=json,
    )


@app.command()
def correlate(
    once: Annotated[bool, typer.Option("--once", help="one pass")] = False,
    every: Annotated[str | None, typer.Option("--every", metavar="30s", help="a pass every so often")] = None,
    config: ConfigFile = None,
    clickhouse: ClickHouse = None,
    json: Json = False,
) -> None:
    """Turn the anomalies in ClickHouse into incidents."""
    from pipelines import incidents

    incidents.command(config, clickhouse, once=once, every=every, as_json=json)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="one statement that reads")],
    format: Annotated[Literal["table", "json", "csv"], typer.Option("--format")] = "table",
    config: ConfigFile = None,
    clickhouse: ClickHouse = None,
) -> None:
    """Run SQL on whatever ClickHouse is configured."""
    from pipelines import query

    query.command(config, clickhouse, sql, format)


@app.command()
def migrate(config: ConfigFile = None, clickhouse: ClickHouse = None, json: Json = False) -> None:
    """Bring the tables in ClickHouse up to date."""
    from pipelines.config import resolve
    from pipelines.migrate import migrate

    url = resolve(config, clickhouse=clickhouse).clickhouse
    applied = migrate(url)
    cli_data.show(applied, json, f"{url}: {', '.join(applied) or 'up to date'}")


@app.command()
def label(
    event: Annotated[str, typer.Argument(metavar="EVENT_ID", help="or its first 8 or more characters")],
    verdict: Annotated[Literal["true", "false", "expected"], typer.Argument(help="was something wrong?")],
    note: Annotated[str, typer.Option("--note", help="why")] = "",
    config: ConfigFile = None,
    clickhouse: ClickHouse = None,
    json: Json = False,
) -> None:
    """Say whether an event was right.

    Detectors that keep being wrong on a series get less of its alarm budget from the next start on.
    """
    from operators.clickhouse import Store
    from pipelines.config import resolve
    from pipelines.labels import label

    with Store.open(resolve(config, clickhouse=clickhouse).clickhouse, make=False) as store:
        store.migrate()
        found = label(store, event, verdict, note)
    said = {
        "event_id": str(found.event_id),
        "verdict": verdict,
        "detector": found.detector,
        "summary": found.summary,
        "budget_share": found.budget_share,
    }
    kept = f"{found.detector} keeps {found.budget_share:.3g} of its alarm budget there from the next start on"
    text = f"{verdict}: {found.summary} (event {found.event_id})"
    cli_data.show(said, json, f"{text}\n{kept}" if found.budget_share < 1 else text)


@app.command()
def labels(config: ConfigFile = None, clickhouse: ClickHouse = None, json: Json = False) -> None:
    """Precision by detector, as labelled.

    And the budget shares that labels lowered.
    """
    from rich.console import Console

    from operators.clickhouse import Store
    from pipelines.config import resolve
    from pipelines.labels import show, summary

    with Store.open(resolve(config, clickhouse=clickhouse).clickhouse, make=False) as store:
        store.migrate()
        found = summary(store)
    if json:
        cli_data.show(found, True, "")
    else:
        show(found, Console())


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="config file")] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Check a config file and show what it resolves to."""
    from pipelines import check

    check.command(file or config, as_json=json)


@app.command()
def doctor(
    config: ConfigFile = None, input: Input = None, clickhouse: ClickHouse = None, json: Json = False
) -> None:
    """Show what is installed and what is reachable."""
    from pipelines import doctor

    raise typer.Exit(doctor.command(config, {"input": input, "clickhouse": clickhouse}, as_json=json))


cli_data.register(app)
app.add_typer(cli_topics.app, name="topics")
app.add_typer(cli_stack.app, name="stack")
app.add_typer(cli_dlq.app, name="dlq")
app.add_typer(cli_sentinels.app, name="sentinels")


#: Errors whose message is all there is to say.
_SAID = {"EngineError", "StackError", "StoreError", "SinkError", "SourceError", "StateError", "OSError"}


def main() -> None:
    """Entry point: what goes wrong is one line on the error stream that says why."""
    # a dozen lines for what we say in one; clickhouse-connect turns urllib3 up again
    for library in ("kafka", "clickhouse_connect", "urllib3.connectionpool"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        app()
    except UsageError as problem:
        _fail(2, problem)
    except Exception as problem:
        # by name, so that a command that needs none of these does not wait for their import
        kinds = {kind.__name__ for kind in type(problem).__mro__}
        if "StoreUrlError" in kinds:
            _fail(2, problem)
        if kinds & _SAID:
            _fail(1, problem)
        from pipelines.observe import logs

        if logs.failed(problem, known=False):
            sys.exit(1)
        raise


def _fail(code: int, problem: Exception) -> None:
    from pipelines.observe import logs

    if not logs.failed(problem):
        print(f"driftline: {problem}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
