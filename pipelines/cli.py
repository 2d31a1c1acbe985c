"""The ``driftline`` command. Bodies are imported when they run, so that help is instant.

Exit codes: 0 done, 1 failed, 2 wrong use or wrong config.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.errors import UsageError

app = typer.Typer(
    name="driftline",
    help="Streaming drift and degradation detection for GenAI inference telemetry.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
topics_app = typer.Typer(help="The Kafka topics driftline reads and writes.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")

ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="one YAML config file")]
ClickHouse = Annotated[
    str | None,
    typer.Option(
        "--clickhouse",
        metavar="URL",
        help="chdb:PATH or http(s)://HOST:PORT/DB [env DRIFTLINE_CLICKHOUSE; default chdb:./driftline-data]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="where everything goes")] = Path(
        "demo-out"
    ),
    seed: Annotated[int, typer.Option("--seed", help="same seed, same day")] = 1,
    json: Json = False,
) -> None:
    """Simulate an incident day, run it through the pipeline, show what was found."""
    from pipelines import demo

    demo.run(out, seed, as_json=json)


@app.command()
def run(
    config: ConfigFile = None,
    input: Annotated[str | None, typer.Option("--input", metavar="DIR|kafka://HOST:PORT")] = None,
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
    json: Json = False,
    engine_options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ENGINE OPTIONS]", help="given to the engine as they are"),
    ] = None,
) -> None:
    """Read telemetry, find anomalies, write them to ClickHouse, correlate them to incidents."""
    from pipelines import run

    run.command(
        config,
        {"input": input, "clickhouse": clickhouse, "output": output, "engine": engine, "runner": runner},
        engine_options=tuple(engine_options or ()),
        until_end=until_end,
        as_json=json,
    )


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
    config: ConfigFile = None,
    input: Annotated[str | None, typer.Option("--input", metavar="DIR|kafka://HOST:PORT")] = None,
    clickhouse: ClickHouse = None,
    json: Json = False,
) -> None:
    """Show what is installed and what is reachable."""
    from pipelines import doctor

    doctor.command(config, {"input": input, "clickhouse": clickhouse}, as_json=json)


def main() -> None:
    """Entry point: wrong use ends with 2, a failure with 1, each with one line that says why."""
    try:
        app(standalone_mode=True)
    except UsageError as problem:
        print(f"driftline: {problem}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
