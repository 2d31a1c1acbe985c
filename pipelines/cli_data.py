"""Commands that make or judge data and need no running pipeline of their own: options alone, as in `cli`."""

import json as codec
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipelines.cli_options import Broker, ClickHouse, ConfigFile, Json


def show(plain: Any, as_json: bool, text: str) -> None:
    """Print for machines or for people."""
    print(codec.dumps(plain, ensure_ascii=False) if as_json else text)


def simulate(
    scenario: Annotated[
        str, typer.Option("--scenario", metavar="ID[,ID…]|all", help="P01 to P28, N1 to N10")
    ],
    seed: Annotated[int, typer.Option("--seed", help="same seed, same bytes")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="gets <topic>/* and labels.json")],
    start: Annotated[str, typer.Option("--start", metavar="TIME")] = "2026-01-05T00:00Z",
    format: Annotated[Literal["ndjson", "arrow"], typer.Option("--format")] = "ndjson",
    twin: Annotated[bool, typer.Option("--twin", help="the same seed without faults")] = False,
    json: Json = False,
) -> None:
    """Make telemetry with labelled incidents.

    One timeline, scenarios one after another.
    """
    from pipelines.progress import bar
    from pipelines.simulate import simulate
    from pipelines.times import unix_ms

    with bar(quiet=json) as tell:
        labels = simulate(
            scenario.split(","),
            seed,
            out,
            start_ms=unix_ms("--start", start),
            format=format,
            twin=twin,
            progress=tell,
        )
    show(
        {"out": str(out), "labels": len(labels)},
        json,
        f"{out}: {len(labels)} label{'' if len(labels) == 1 else 's'} in {out / 'labels.json'}",
    )


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv")],
    topic: Annotated[str, typer.Option("--topic", help="such as telemetry.requests.v1")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="what driftline run --input takes")],
    map: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN[*FACTOR]", help="once a field")
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="the same in all; {row} is the row's number"),
    ] = None,
    json: Json = False,
) -> None:
    """Turn any CSV file into telemetry records.

    Times without a zone are UTC.
    """
    from pipelines.importing import import_csv
    from pipelines.progress import bar

    with bar(quiet=json) as tell:
        records = import_csv(
            file, topic, map or [], set or [], out, lambda done, of: tell(file.name, done / of if of else 1.0)
        )
    show({"records": records, "out": str(out)}, json, f"{records:,} records of {topic} in {out / topic}")


def produce(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="what driftline run --input takes")],
    kafka: Broker = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.1, metavar="RECORDS", help="a second at most")
    ] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Send a folder of telemetry to Kafka.

    Each record goes to the partition that it lies in; all topics move on together in time.
    """
    from pipelines.brokers import broker_of
    from pipelines.config import resolve
    from pipelines.produce import produce
    from pipelines.progress import bar

    resolved = resolve(config)
    options = broker_of(resolved, kafka)
    with bar(quiet=json) as tell:
        sent = produce(
            folder,
            options,
            resolved.kafka.client,
            rate=rate,
            told=lambda count: tell(f"{count:,} records", 0.0),
        )
    lines = [f"{count:,} records to {topic}" for topic, count in sorted(sent.items())]
    show({"sent": dict(sorted(sent.items()))}, json, "\n".join(lines) or f"{folder}: no records")


def backtest(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.csv …")],
    time_column: Annotated[str, typer.Option("--time-column")],
    value_column: Annotated[str, typer.Option("--value-column")],
    scores: Annotated[Path, typer.Option("--scores", metavar="OUT.csv|DIR", help="a row per input row")],
    series_column: Annotated[
        str | None, typer.Option("--series-column", help="tells the series of one file apart")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option("--label-column", help="1 = anomalous; detectors never see it")
    ] = None,
    alarm_budget: Annotated[
        float, typer.Option("--alarm-budget", help="rows between false alarms")
    ] = 10_000.0,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="OUT.png|DIR", help="draw each series")
    ] = None,
    json: Json = False,
) -> None:
    """Score every row of CSV files.

    With labels: how good the alarms were.
    """
    from pipelines.backtest import backtest

    backtest(
        files,
        time_column=time_column,
        value_column=value_column,
        scores=scores,
        series_column=series_column,
        label_column=label_column,
        alarm_budget=alarm_budget,
        plot=plot,
        as_json=json,
    )


def backtest_embeddings(
    vectors: Annotated[Path, typer.Argument(metavar="VECTORS.npy", help="one row per vector")],
    reference_rows: Annotated[int, typer.Option("--reference-rows", help="rows that are the reference")],
    window: Annotated[int, typer.Option("--window", help="rows of a window")],
    scores: Annotated[Path, typer.Option("--scores", metavar="OUT.csv")],
    times: Annotated[
        Path | None, typer.Option("--times", metavar="TIMES.csv", help="of the rows; checked to be in order")
    ] = None,
    alarm_budget: Annotated[
        float, typer.Option("--alarm-budget", help="windows between false alarms")
    ] = 10_000.0,
    json: Json = False,
) -> None:
    """Score windows of vectors against a reference."""
    from pipelines.backtest_embeddings import backtest_embeddings

    backtest_embeddings(
        vectors,
        reference_rows=reference_rows,
        window=window,
        scores=scores,
        times=times,
        alarm_budget=alarm_budget,
        as_json=json,
    )


def evaluate(
    scenarios: Annotated[str, typer.Option("--scenarios", metavar="ID[,ID…]|all")],
    seeds: Annotated[int, typer.Option("--seeds", help="how many")],
    json: Annotated[Path, typer.Option("--json", metavar="OUT.json", help="summary and scenarios")],
    config: ConfigFile = None,
    keep: Annotated[Path | None, typer.Option("--keep", metavar="DIR", help="keep every seed's data")] = None,
) -> None:
    """Run the incident benchmark.

    Labelled timelines through the whole pipeline, scored by incident.
    """
    from pipelines.evaluate import evaluate
    from pipelines.evaluate.view import show as show_summary
    from pipelines.progress import bar

    with bar() as tell:
        result = evaluate(scenarios.split(","), seeds, json, tell, config=config, keep=keep)
    show_summary(result["summary"])


def compare(
    baseline: Annotated[list[str], typer.Option("--baseline", metavar="FIELD=VALUE", help="what serves now")],
    candidate: Annotated[
        list[str], typer.Option("--candidate", metavar="FIELD=VALUE", help="what may replace it")
    ],
    since: Annotated[str | None, typer.Option("--since", metavar="TIME")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME")] = None,
    config: ConfigFile = None,
    clickhouse: ClickHouse = None,
    json: Json = False,
) -> None:
    """Judge a candidate version on matched traffic.

    The verdict is go, hold or roll back; it stays valid however often one looks.
    """
    from pipelines.compare import command

    command(baseline, candidate, since, until, config=config, clickhouse=clickhouse, as_json=json)


def register(app: typer.Typer) -> None:
    """Put these commands into the app."""
    app.command("simulate")(simulate)
    app.command("import")(import_)
    app.command("produce")(produce)
    app.command("backtest")(backtest)
    app.command("backtest-embeddings")(backtest_embeddings)
    app.command("evaluate")(evaluate)
    app.command("compare")(compare)
