"""The engine behind HTTP as a process of its own, on loopback, which tests may kill, stop and start again."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from pipelines.stack import Ports

START_S = 600


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no outgoing connection is given."""
    return Ports.free().clickhouse


class Server:
    """``python -m pipelines.chdb_server`` on a folder; the port stays the same over restarts."""

    def __init__(
        self, folder: Path, *options: str, environment: Mapping[str, str] | None = None, scheme: str = "http"
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"{scheme}://127.0.0.1:{self.port}"
        self._options = options
        self._environment = os.environ | dict(environment or {})
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Of driftline's own database."""
        return f"{self.address}/driftline"

    def start(self) -> None:
        """Start, and wait until it says that it is ready."""
        command = [sys.executable, "-m", "pipelines.chdb_server", "--path", str(self.folder)]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port), *self._options],
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S)
        assert ready, "the server did not come up"
        assert "chdb_server: chdb:" in self._process.stdout.readline()

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """End it; returns how it ended."""
        assert self._process is not None
        self._process.send_signal(number)
        ended = self._process.wait(START_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        return ended

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()
