"""The installed command, run as people run it: a process of its own, all it says captured."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from pipelines.cli import main


class Answer(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def start(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> "Running":
    """Start ``driftline`` in a folder, with nothing of the caller's own settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")}
    return Running(
        [str(Path(sys.executable).with_name("driftline")), *arguments],
        cwd=folder,
        env=inherited | {"OMP_NUM_THREADS": "1"} | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Running(subprocess.Popen[str]):
    """A command that runs."""

    def answer(self) -> Answer:
        """Wait for its end."""
        out, err = self.communicate()
        return Answer(self.returncode, out, err)


def here(
    folder: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Answer:
    """Run ``driftline`` in this process, which has imported everything already."""
    for name in [name for name in os.environ if name.startswith("DRIFTLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["driftline", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capfd.readouterr()
    return Answer(int(ended.value.code or 0), said.out, said.err)
