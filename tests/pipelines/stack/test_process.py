import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipelines.stack import process
from pipelines.stack.ports import listens
from pipelines.stack.process import Process
from tests.engines.broker import until


def ready() -> bool:
    return True


def family(name: str, log: str) -> Process:
    """A process with a child, both idle."""
    command = ["/bin/sh", "-c", f"sleep 600 & echo {log}; wait"]
    return Process(name=name, part="test", command=command, address="127.0.0.1:1", healthy=ready)


def started(folder: Path, name: str = "one") -> int:
    pid = process.start(family(name, "here"), folder, folder / "log")
    until(lambda: [child for child in psutil.Process(pid).children() if _became(child)], "its child")
    return pid


def _became(child: psutil.Process) -> bool:
    """Whether it is the program it was forked to be, with that program's environment there to be read."""
    return bool(child.name() == "sleep" and child.environ())


def ended(child: psutil.Process) -> bool:
    """An orphan is buried by init, in its own time."""
    try:
        return not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_ends_with_what_it_started(tmp_path: Path, kind: signal.Signals) -> None:
    pid = started(tmp_path)
    child = psutil.Process(pid).children()[0]
    assert process.runs(pid, tmp_path, "one")
    assert process.memory(tmp_path, "one") > 0
    assert process.end(tmp_path, ["one"], kind) == 2
    assert not process.runs(pid, tmp_path, "one")
    assert process.memory(tmp_path, "one") == 0
    assert ended(child)


def test_a_process_that_becomes_another_program_runs_on(tmp_path: Path) -> None:
    again = tmp_path / "again"  # without an end: for a moment each time its environment is not there
    again.write_text('exec /bin/sh "$0"')
    command = ["/bin/sh", str(again)]
    one = Process(name="one", part="test", command=command, address="127.0.0.1:1", healthy=ready)
    pid = process.start(one, tmp_path, tmp_path / "log")
    try:
        assert all(process.runs(pid, tmp_path, "one") for _ in range(2000))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert not process.runs(pid, tmp_path, "one")


def test_an_orphan_is_found_and_ended(tmp_path: Path) -> None:
    pid = started(tmp_path)
    child = psutil.Process(pid).children()[0]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not process.runs(pid, tmp_path, "one")
    assert process.end(tmp_path, ["one"], signal.SIGKILL) == 1
    assert ended(child)


def test_nobody_else_is_ended(tmp_path: Path) -> None:
    one, other = started(tmp_path), started(tmp_path, "other")
    try:
        assert not process.runs(one, tmp_path, "other")
        assert not process.runs(one, tmp_path / "elsewhere", "one")
        assert not process.runs(os.getpid(), tmp_path, "one")
        assert process.end(tmp_path / "elsewhere", ["one", "other"]) == 0
        process.end(tmp_path, ["one"])
        assert process.runs(other, tmp_path, "other")
    finally:
        process.end(tmp_path, ["one", "other"], signal.SIGKILL)


def test_threads_that_outlive_their_process_are_waited_for(tmp_path: Path) -> None:
    code = (
        "import ctypes, socket, threading, time\n"
        "held = socket.create_server(('127.0.0.1', 0))\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "print(held.getsockname()[1], flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        port = int(one.stdout.readline())
        try:
            until(
                lambda: psutil.Process(one.pid).status() == psutil.STATUS_ZOMBIE,
                "the end of the first thread",
            )
            assert listens(port)
            assert process.lingers(one.pid)
        finally:
            one.kill()
        until(lambda: not process.lingers(one.pid), "the end of the last")
        assert not listens(port)
    assert not process.lingers(one.pid)
    assert not process.lingers(os.getpid())


def test_output_is_appended_to_the_log(tmp_path: Path) -> None:
    for _ in range(2):
        started(tmp_path)
        process.end(tmp_path, ["one"], signal.SIGKILL)
    assert (tmp_path / "log").read_text() == "here\nhere\n"
