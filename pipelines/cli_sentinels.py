"""``driftline sentinels``: options alone, as in `cli`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.cli_data import show
from pipelines.cli_options import Json

app = typer.Typer(help="Sentinels: answers known to be bad, whose like is looked for.", no_args_is_help=True)


@app.callback()
def sentinels() -> None:
    """Options of no command."""


@app.command()
def fit(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="VECTORS…", help="of known-bad answers: .npy, Arrow or Parquet"),
    ],
    name: Annotated[str, typer.Option("--name", help="of the sentinel, such as refusals")],
    embedder_version: Annotated[
        str, typer.Option("--embedder-version", metavar="NAME", help="as in your telemetry")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.npz", help="made, or gets one more sentinel")],
    ordinary: Annotated[
        list[Path] | None,
        typer.Option("--ordinary", metavar="VECTORS", help="of ordinary answers, to check with; repeatable"),
    ] = None,
    side: Annotated[Literal["output", "prompt"], typer.Option("--side")] = "output",
    centroids: Annotated[
        int, typer.Option("--centroids", min=1, max=64, help="kinds of bad answers to tell apart")
    ] = 4,
    json: Json = False,
) -> None:
    """Make a sentinel of vectors of answers known to be bad.

    Name its file in the config: `embeddings: {sentinels: FILE.npz}`.
    """
    from pipelines.sentinels import fit, told

    report = fit(
        files,
        name=name,
        embedder_version=embedder_version,
        out=out,
        side=side,
        ordinary=ordinary or (),
        centroids=centroids,
    )
    show(report, json, told(report))
