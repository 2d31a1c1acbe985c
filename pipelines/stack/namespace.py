"""A network of its own: Beam's servers listen on every interface, so they get one that leads nowhere.

The namespace lives as long as one idle process in it. Linux only; no rights are needed where users may make
namespaces.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import psutil

from pipelines.stack.errors import StackError
from pipelines.stack.ports import HOST
from pipelines.stack.process import Process

NAME = "namespace"
_UNSHARE = ("--user", "--map-root-user", "--net", "--")
_IDLE = "sleep"
_HOLD = f"ip link set lo up && exec {_IDLE} infinity"


def processes(folder: Path, _: object) -> list[Process]:
    """The one that holds the namespace."""
    return [
        Process(
            name=NAME,
            part=NAME,
            command=[_program("unshare"), *_UNSHARE, _program("sh"), "-c", _HOLD],
            address=HOST,
            healthy=lambda: True,
        )
    ]


def allowed() -> bool:
    """Whether this system lets us make one."""
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        return False
    attempt = ("unshare", *_UNSHARE, "sh", "-c", "ip link set lo up")
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0  # noqa: S603


def alone() -> bool:
    """Whether this process has no way out already: nothing but loopback."""
    return {name for name, state in psutil.net_if_stats().items() if state.isup} <= {"lo"}


def ready(pid: int) -> bool:
    """Whether the holder has come as far as being idle."""
    try:
        return bool(psutil.Process(pid).name() == _IDLE)
    except psutil.NoSuchProcess:
        return False


def inside(pid: int) -> bool:
    """Whether this process is in the namespace that the other holds."""
    return os.path.samefile("/proc/self/ns/net", f"/proc/{pid}/ns/net")


def enter(pid: int, command: Sequence[str]) -> NoReturn:
    """Become a command in the namespace."""
    into = (_program("nsenter"), f"--target={pid}", "--user", "--net", "--preserve-credentials", "--")
    os.execv(into[0], [*into, *command])  # noqa: S606


def _program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise StackError(f"{name} is not on the PATH")
    return found
