"""One process of a stack: how it is started, known again, and ended with all it started.

Every process carries a mark in its environment, which its children inherit. What carries the mark is ours,
whatever became of its parent; a process id that was given to another program meanwhile does not.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_MARK = "DRIFTLINE_STACK_PROCESS"
_BEGINS = 60.0  # seconds that a program may take to be loaded
#: Python's own are to be loaded quickly when they start again, so their bytecode is kept wherever it can be.
_KEPT = {"PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True)
class Process:
    """What to run.

    Args:
        name: as ``taskmanager-0``.
        part: of the stack it belongs to, as ``flink``.
        command: program, by its path, and arguments.
        address: where it listens.
        healthy: whether it does its work; asked while it runs.
        prepare: what must be in place before it starts.
        environment: added to the caller's.
    """

    name: str
    part: str
    command: list[str]
    address: str
    healthy: Callable[[], bool]
    prepare: Callable[[], None] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])


def start(process: Process, folder: Path, log: Path) -> int:
    """Start it in a session of its own, its output appended to the log; gives its process id."""
    process.prepare()
    environment = {**os.environ, **_KEPT, **process.environment, _MARK: _mark(folder, process.name)}
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    # spawned, not subprocess: the process is to outlive the object that started it
    pid = os.posix_spawn(
        process.command[0],
        process.command,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGPIPE],  # Python ignores it, and the child would too
    )
    runs(pid, folder, process.name)  # at least for so long that whoever looks next can see it
    return pid


def runs(pid: int, folder: Path, name: str) -> bool:
    """Whether the process of this id is still the one that was started under this name."""
    until = time.monotonic() + _BEGINS
    try:
        process = psutil.Process(pid)
        # a process that becomes another program, as a shell does at last, has no environment for a moment
        while not (environment := process.environ()) and not _ended(pid) and time.monotonic() < until:
            time.sleep(0.005)
        return environment.get(_MARK) == _mark(folder, name) and not _ended(pid)
    except (psutil.Error, OSError):  # it ended, or the id is another user's by now
        return False


def end(folder: Path, names: Iterable[str], kind: int = signal.SIGTERM, *, wait: float = 20.0) -> int:
    """Signal processes and all they started; those still there after ``wait`` seconds are killed.

    Returns:
        How many were signalled.
    """
    marks = {_mark(folder, name) for name in names}
    ours = [one for one in psutil.process_iter() if _carries(one) in marks]
    for one in ours:
        _signal(one, kind)
    for one in _left(ours, wait):
        _signal(one, signal.SIGKILL)
    _left(ours, wait)
    return len(ours)


def lingers(pid: int) -> bool:
    """Whether a process that was killed holds yet what it had, such as its ports."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return process.num_threads() > 1  # which end in their own time
        return not process.environ()  # its memory goes first
    except (psutil.Error, OSError):
        return False


def memory(folder: Path, name: str) -> int:
    """Bytes that a process and all it started hold in memory."""
    total = 0
    for one in psutil.process_iter():
        if _carries(one) == _mark(folder, name):
            try:
                total += one.memory_info().rss
            except psutil.Error:  # ended meanwhile
                continue
    return total


def _mark(folder: Path, name: str) -> str:
    return f"{name}@{folder}"


def _carries(process: psutil.Process) -> str | None:
    try:
        mark: str | None = process.environ().get(_MARK)
        return None if process.status() == psutil.STATUS_ZOMBIE else mark
    except (psutil.Error, OSError):  # ended meanwhile, or another user's
        return None


def _left(processes: Sequence[psutil.Process], patience: float) -> Sequence[psutil.Process]:
    """Those that are there yet, once none is or patience is at its end."""
    until = time.monotonic() + patience
    while processes := [one for one in processes if not _gone(one)]:
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    return processes


def _ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE and not lingers(pid)
    except psutil.NoSuchProcess:
        return True


def _gone(process: psutil.Process) -> bool:
    try:
        process.wait(timeout=0)  # of our own children this is the last to be heard
    except psutil.TimeoutExpired:
        return _ended(process.pid)  # an orphan is buried by init, in its own time
    return True


def _signal(process: psutil.Process, kind: int) -> None:
    try:
        process.send_signal(kind)
    except psutil.NoSuchProcess:
        return
