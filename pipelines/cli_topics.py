"""``driftline topics``: options alone, as in `cli`."""

import typer

from pipelines.cli_data import show
from pipelines.cli_options import Broker, ConfigFile, Json

app = typer.Typer(help="The Kafka topics driftline reads and writes.", no_args_is_help=True)


@app.command("list")
def list_declared(json: Json = False) -> None:
    """The topics as declared."""
    from pipelines.topics import list_topics

    rows = list_topics()
    plain = [
        {"topic": row.topic, "direction": row.direction, "description": row.spec.description} for row in rows
    ]
    width = max(len(row.topic) for row in rows)
    text = "\n".join(f"{row.topic:<{width}}  {row.direction:<3}  {row.spec.description}" for row in rows)
    show(plain, json, text)


@app.command("create")
def create_missing(kafka: Broker = None, config: ConfigFile = None, json: Json = False) -> None:
    """Create the topics a broker lacks."""
    from pipelines.brokers import broker
    from pipelines.topics import create

    created = create(broker(config, kafka))
    show(created, json, f"created: {', '.join(created) or 'none, all are there'}")


@app.command("diff")
def diff_declared(kafka: Broker = None, config: ConfigFile = None, json: Json = False) -> None:
    """Where a broker's topics are not as declared; fails if any is not."""
    from pipelines.brokers import broker
    from pipelines.topics import diff

    rows = diff(broker(config, kafka))
    lines = [f"{row.topic}: {row.what} is {row.found}, declared {row.declared}" for row in rows]
    show([row._asdict() for row in rows], json, "\n".join(lines) or "as declared")
    if rows:
        raise typer.Exit(1)
