"""The part ``clickhouse``: the embedded engine behind HTTP, so that several processes can share it."""

import sys
from pathlib import Path

from pipelines.stack.ports import HOST, Ports, address, get
from pipelines.stack.process import Process


def processes(folder: Path, ports: Ports) -> list[Process]:
    """The server, its tables under ``folder/clickhouse``."""
    where = ("--path", str(folder / "clickhouse"), "--host", HOST, "--port", str(ports.clickhouse))
    return [
        Process(
            name="clickhouse",
            part="clickhouse",
            command=[sys.executable, "-m", "pipelines.chdb_server", *where],
            address=address(ports.clickhouse),
            healthy=lambda: get(ports.clickhouse, "/ping") == b"Ok.\n",
        )
    ]
