"""``driftline stack``: the laptop stack, options alone, as in `cli`."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pipelines.cli_data import show
from pipelines.cli_options import Json
from pipelines.errors import UsageError
from pipelines.stack import PARTS, Ports, Stack, StackError, Status

app = typer.Typer(help="Kafka, Flink and ClickHouse without Docker.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--dir", metavar="DIR", help="data, logs and what runs")]
Parts = Annotated[list[str] | None, typer.Argument(metavar="[kafka] [flink] [clickhouse]")]
HERE = Path("driftline-stack")


@app.command()
def up(
    parts: Parts = None,
    dir: Folder = HERE,
    isolated: Annotated[
        bool | None,
        typer.Option(
            "--isolated/--exposed",
            help="in a network of its own; the default with flink, which listens on every interface",
        ),
    ] = None,
    free_ports: Annotated[bool, typer.Option("--free-ports", help="not the well-known ports")] = False,
    json: Json = False,
) -> None:
    """Start parts (default all); wait until healthy."""
    wanted = _known(parts) or PARTS
    stack = Stack(dir, Ports.free() if free_ports else Ports(), exposed=isolated is False)
    _isolate(stack, wanted, isolated)
    if not json:
        print(f"starting {', '.join(wanted)}; the first time their jars are fetched", file=sys.stderr)
    stack.up(*wanted)
    _show(stack, json)


@app.command()
def down(parts: Parts = None, dir: Folder = HERE, json: Json = False) -> None:
    """End the parts (default all); their data stays."""
    ended = _there(dir).down(*_known(parts))
    show(ended, json, f"ended: {', '.join(ended) or 'nothing, none ran'}")


@app.command()
def status(dir: Folder = HERE, json: Json = False) -> None:
    """Show what runs, and fail unless all is healthy."""
    stack = _there(dir)
    _inside(stack)
    found = _show(stack, json)
    if not found or not all(one.healthy for one in found):
        raise typer.Exit(1)


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def exec_(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND …")],
    dir: Folder = HERE,
) -> None:
    """Run a command in the stack's network.

    DRIFTLINE_CLICKHOUSE is set there.
    """
    stack = _there(dir)
    program = shutil.which(command[0])
    if not program:
        raise UsageError(f"{command[0]}: no such program")
    os.environ.setdefault("DRIFTLINE_CLICKHOUSE", stack.clickhouse)
    _become(stack, [program, *command[1:]])


@app.command()
def fetch() -> None:
    """Fetch the jars of Kafka and Flink with Maven, once."""
    from pipelines.stack.jars import SETS, folder, jars

    for name in SETS:
        if not folder(name).is_dir():
            print(f"{name}: fetching its jars", file=sys.stderr)
        print(f"{name}: {jars(name)}")


def _isolate(stack: Stack, parts: tuple[str, ...], asked: bool | None) -> None:
    from pipelines.stack import namespace

    if not stack.namespace:
        wanted = "flink" in parts and not namespace.alone() if asked is None else asked
        if not wanted:
            return
        if not namespace.allowed():
            raise StackError(
                "this system allows no network namespace, and Beam's servers listen on every interface;"
                " on a network you trust say --exposed"
            )
        stack.isolate()
    _inside(stack)


def _inside(stack: Stack) -> None:
    """Go on in the stack's namespace, if it has one."""
    from pipelines.stack import namespace

    if stack.namespace and not namespace.inside(stack.namespace):
        namespace.enter(stack.namespace, [sys.executable, *sys.argv])


def _become(stack: Stack, command: list[str]) -> NoReturn:
    from pipelines.stack import namespace

    if stack.namespace and not namespace.inside(stack.namespace):
        namespace.enter(stack.namespace, command)
    os.execv(command[0], command)  # noqa: S606


def _known(parts: list[str] | None) -> tuple[str, ...]:
    for part in parts or ():
        if part not in PARTS:
            raise UsageError(f"{part}: no such part; there are {', '.join(PARTS)}")
    return tuple(parts or ())


def _there(folder: Path) -> Stack:
    if not (folder / "stack.json").exists():
        raise UsageError(f"{folder}: no stack here; `driftline stack up` makes one, --dir names another")
    return Stack(folder)


def _show(stack: Stack, as_json: bool) -> list[Status]:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    found = stack.status()
    if as_json:
        processes = [{name: getattr(one, name) for name in one.__struct_fields__} for one in found]
        addresses = {
            "kafka": f"kafka://{stack.kafka}",
            "clickhouse": stack.clickhouse,
            "flink": stack.flink_rest,
            "flink_options": stack.flink_options(),
            "namespace": stack.namespace,
        }
        show({"processes": processes, **addresses}, True, "")
        return found
    if not found:
        print(f"{stack.folder}: nothing runs; `driftline stack up` starts it")
        return found
    table = Table("process", "state", "pid", "address", "memory", box=SIMPLE_HEAD)
    for one in found:
        state = "healthy" if one.healthy else "not healthy" if one.running else "ended"
        memory = f"{one.memory / 2**20:,.0f} MiB" if one.running else ""
        table.add_row(one.name, state, str(one.pid or ""), one.address, memory)
    Console().print(table)
    print(f"Logs are in {os.path.relpath(stack.folder / 'logs')}.")
    if stack.namespace:
        print("It is in a network of its own: reach it by `driftline stack exec -- COMMAND`.")
    return found
