"""``driftline`` in a process of its own, started from nothing or from one that has loaded its modules before.

Loading them takes seconds of a core. What is measured starts from nothing; whatever else a run needs is
forked, so that many runs share that cost.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

_LOADED = ("pipelines.cli", *(f"pipelines.engines.{name}" for name in ("local", "faust", "cluster")))


class Command:
    """One command while it runs, and its end.

    Args:
        arguments: of ``driftline``.
        out: file for what it prints.
        log: file for what it logs.
        environment: added to ours.
        loaded: start from a process with the modules loaded.
    """

    def __init__(
        self, arguments: Sequence[str], out: Path, log: Path, environment: Mapping[str, str], *, loaded: bool
    ) -> None:
        context: ForkServerContext | SpawnContext = SpawnContext()
        if loaded:
            context = ForkServerContext()
            context.set_forkserver_preload(list(_LOADED))
        self._process = context.Process(
            target=_become, args=(list(arguments), out, log, dict(environment)), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def code(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int | None:
        """What it ended with; None if it did not within this time."""
        self._process.join(seconds)
        return self.code

    def signal(self, number: int) -> None:
        """Send a signal, if it is still there."""
        if self.code is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """``kill -9``, and its end awaited."""
        self.signal(signal.SIGKILL)
        self.wait()


def _become(arguments: list[str], out: Path, log: Path, environment: dict[str, str]) -> None:
    for path, number in ((out, 1), (log, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, number)
        os.close(file)
    os.setsid()  # a key pressed at the terminal is for who watches, not for this
    os.environ.update(environment)
    sys.argv = ["driftline", *arguments]
    from pipelines.cli import main

    main()
