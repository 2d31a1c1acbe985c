"""Options that several commands take, alike in each."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="one YAML config file")]
Input = Annotated[
    str | None,
    typer.Option("--input", metavar="DIR|kafka://HOST:PORT", help="where telemetry comes from"),
]
ClickHouse = Annotated[
    str | None,
    typer.Option(
        "--clickhouse",
        metavar="URL",
        help="chdb:PATH or http(s)://HOST:PORT/DB [env DRIFTLINE_CLICKHOUSE; default chdb:./driftline-data]",
    ),
]
Broker = Annotated[
    str | None,
    typer.Option("--kafka", metavar="kafka://HOST:PORT", help="default: the config's input or output"),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]
