"""``driftline dlq``: options alone, as in `cli`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli_data import show
from pipelines.cli_options import ConfigFile, Json

app = typer.Typer(help="Dead letters: list them, send them again.", no_args_is_help=True)

Where = Annotated[
    str | None, typer.Option("--from", metavar="DIR|kafka://HOST:PORT", help="default: the output, or input")
]
Reason = Annotated[str | None, typer.Option("--reason", help="only those of this reason")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="only those refused since")]


def _read(topic: str, where: str | None, reason: str | None, since: str | None, path: Path | None) -> Any:
    from pipelines import dlq
    from pipelines.config import ConfigError, resolve
    from pipelines.times import unix_ms

    config = resolve(path)
    address = where or config.output or config.input
    if address is None:
        raise ConfigError("no dead letters: give --from DIR or kafka://HOST:PORT, or a config with an output")
    since_ms = unix_ms("--since", since) if since else None
    return config, address, dlq.chosen(dlq.read(config, address, topic), reason, since_ms)


@app.command("list")
def list_letters(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="as telemetry.requests.v1")],
    where: Where = None,
    reason: Reason = None,
    since: Since = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """The dead letters of a topic, and how many there are of each reason."""
    from pipelines.dlq import summary

    _, _, held = _read(topic, where, reason, since, config)
    plain = [
        {
            "place": each.place,
            "reason": each.letter.reason,
            "detail": each.letter.detail,
            "topic": each.letter.topic,
            "partition": each.letter.partition,
            "offset": each.letter.offset,
            "length": each.letter.length,
            "sha256": each.letter.sha256,
            "kept": each.letter.value is not None,
            "replayed": each.replayed,
        }
        for each in held
    ]
    counts = summary(held)
    lines = [
        f"{each.letter.partition} {each.letter.offset}  {each.letter.reason}  {each.letter.detail}"
        f"{'' if each.letter.value is None else '  (kept)'}{'  (replayed)' if each.replayed else ''}"
        for each in held
    ]
    lines += [
        f"{count['count']:,} {name}: {count['kept']:,} kept, {count['replayed']:,} replayed"
        for name, count in counts.items()
    ]
    show({"reasons": counts, "letters": plain}, json, "\n".join(lines) or f"no dead letters of {topic}")


@app.command("replay")
def replay_letters(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="as telemetry.requests.v1")],
    where: Where = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="DIR|kafka://HOST:PORT", help="default: where they come from, on Kafka"),
    ] = None,
    reason: Reason = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="send nothing, say what would be")] = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Send those whose bytes were kept to their topic again, each once."""
    from pipelines.config import ConfigError, kafka_servers
    from pipelines.dlq import replay

    resolved, address, held = _read(topic, where, reason, since, config)
    target = to or (address if kafka_servers(address) else resolved.input)
    if target is None:
        raise ConfigError("no target: give --to DIR or kafka://HOST:PORT, or a config with an input")
    sendable = sum(each.sendable for each in held)
    sent = 0 if dry_run else replay(resolved, address, target, topic, held)
    plain = {
        "sent": sent,
        "sendable": sendable,
        "not_kept": sum(each.letter.value is None for each in held),
        "replayed_before": sum(each.replayed for each in held),
        "to": target,
    }
    said = f"{sendable:,} would be sent" if dry_run else f"{sent:,} sent"
    show(
        plain,
        json,
        f"{said} to {target}; {plain['replayed_before']:,} were before,"
        f" of {plain['not_kept']:,} no bytes are kept",
    )
