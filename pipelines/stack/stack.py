"""A stack: which processes there are, started side by side, watched until healthy, ended."""

import fcntl
import importlib
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from pipelines.stack import flink, namespace
from pipelines.stack import process as processes
from pipelines.stack.errors import StackError
from pipelines.stack.ports import Ports, address, listens
from pipelines.stack.process import Process

#: Parts, in the order they are shown; each is a module of this package.
PARTS = ("kafka", "flink", "clickhouse")
_OWNERS = {"kafka": "kafka", "clickhouse": "clickhouse", namespace.NAME: namespace.NAME}
_PATIENCE = 300.0  # seconds that a part may take to come up, or to be gone
_LAST_LINES = 15


class Status(Struct, frozen=True):
    """One process as it is now. ``memory``: bytes, with all it started."""

    name: str
    part: str
    pid: int | None
    running: bool
    healthy: bool
    address: str
    memory: int
    log: str


class _State(Struct):
    ports: Ports
    pids: dict[str, int]


class Stack:
    """The servers of one folder; any number of `Stack` objects may look at the same.

    Args:
        folder: data, logs, settings and what runs; made if it is not there.
        ports: where to listen; by default those of ``folder/stack.json``, else free ones.
        exposed: let Beam's servers listen on every interface of a machine that has more than loopback.
    """

    def __init__(self, folder: Path, ports: Ports | None = None, *, exposed: bool = False) -> None:
        self._exposed = exposed
        self.folder = folder.resolve()
        self._file = self.folder / "stack.json"
        known = self._read()
        self.ports = known.ports if known else ports or Ports.free()

    @property
    def kafka(self) -> str:
        """``127.0.0.1:PORT`` of the broker."""
        return address(self.ports.kafka)

    @property
    def clickhouse(self) -> str:
        """What ``--clickhouse`` takes."""
        return f"http://{address(self.ports.clickhouse)}/driftline"

    @property
    def job_server(self) -> str:
        """Where Beam jobs are submitted."""
        return address(self.ports.job_server)

    @property
    def flink_rest(self) -> str:
        """The JobManager's REST interface and web page."""
        return f"http://{address(self.ports.flink_rest)}"

    @property
    def worker_pool(self) -> str:
        """Where the TaskManager asks for Python workers."""
        return address(self.ports.worker_pool)

    def flink_options(self) -> list[str]:
        """The options with which a Beam pipeline runs on this cluster."""
        return flink.options(self.ports)

    def up(self, *parts: str) -> None:
        """Start what of these parts does not run, all at once, and wait until everything is healthy.

        Raises:
            NotInstalledError: a program or jars that a part needs are not on this machine.
            StackError: a process ended or did not become healthy.
        """
        if "flink" in parts and not self._exposed and not namespace.alone():
            raise StackError("Beam's servers listen on every interface: flink needs a network of its own")
        wanted = self._processes(parts)
        with self._lock():
            missing = [one for one in wanted if not self._runs(one.name)]
            for one in missing:
                processes.end(self.folder, [one.name], signal.SIGKILL)  # what a lost parent left behind
                self._wait_for_port(one)
            for one in missing:
                self._start(one)
        self._wait(wanted)

    def isolate(self) -> int:
        """Make the stack's network namespace, if it has none; gives the process id of what holds it.

        Raises:
            StackError: a part runs outside already.
        """
        held = self.namespace
        if held:
            return held
        with self._lock():
            outside = [name for name in self._state().pids if self._runs(name)]
            if outside:
                raise StackError(f"{', '.join(outside)} runs without a namespace: take the stack down first")
            self._start(*namespace.processes(self.folder, self.ports))
        pid = self._state().pids[namespace.NAME]
        until = time.monotonic() + _PATIENCE
        while not namespace.ready(pid):
            if time.monotonic() > until or not self._runs(namespace.NAME):
                raise StackError(f"no network namespace: the last of {self._tail(namespace.NAME)}")
            time.sleep(0.02)
        return pid

    @property
    def namespace(self) -> int | None:
        """The process that holds the stack's network namespace, if it has one."""
        pid = self._state().pids.get(namespace.NAME)
        return pid if pid and processes.runs(pid, self.folder, namespace.NAME) else None

    def down(self, *parts: str) -> list[str]:
        """End what runs of these parts (of all, if none is named), and give their names; data stays."""
        with self._lock():
            state = self._state()
            ended = [name for name in state.pids if not parts or part_of(name) in parts]
            if set(state.pids) - set(ended) == {namespace.NAME}:
                ended.append(namespace.NAME)  # nothing is left in it
            processes.end(self.folder, ended)
            for name in ended:
                del state.pids[name]
            self._write(state)
        return [name for name in ended if name != namespace.NAME]

    def status(self) -> list[Status]:
        """Every process that was started and not ended, and how it does."""
        pids = self._state().pids
        parts = [part for part in PARTS if part in {part_of(name) for name in pids}]
        return [self._status(one, pids.get(one.name)) for one in self._processes(parts)]

    def start(self, process: str) -> None:
        """Start one process, as after a `kill`, and wait until it is healthy."""
        one = self._named(process)
        with self._lock():
            if self._runs(process):
                return
            self._start(one)
        self._wait([one])

    def kill(self, process: str, kind: int = signal.SIGKILL) -> int:
        """Signal a process and all it started, and wait for their end; gives how many there were.

        Raises:
            StackError: it does not run.
        """
        with self._lock():
            hit = processes.end(self.folder, [process], kind)
        if not hit:
            raise StackError(f"{process} does not run")
        return hit

    def log(self, process: str) -> Path:
        """The file that its output goes to."""
        return self.folder / "logs" / f"{process}.log"

    def _processes(self, parts: Sequence[str]) -> list[Process]:
        found: list[Process] = []
        for part in parts:
            if part not in PARTS:
                raise StackError(f"a stack has no part {part!r}; it has {', '.join(PARTS)}")
            module = importlib.import_module(f"pipelines.stack.{part}")
            found += module.processes(self.folder, self.ports)
        return found

    def _named(self, name: str) -> Process:
        for one in self._processes([part_of(name)]):
            if one.name == name:
                return one
        raise StackError(f"a stack has no process {name!r}")

    def _runs(self, name: str) -> bool:
        pid = self._state().pids.get(name)
        return pid is not None and processes.runs(pid, self.folder, name)

    def _start(self, one: Process) -> None:
        state = self._state()
        self.log(one.name).parent.mkdir(exist_ok=True)
        state.pids[one.name] = processes.start(one, self.folder, self.log(one.name))
        self._write(state)

    def _wait_for_port(self, one: Process) -> None:
        until = time.monotonic() + _PATIENCE
        lingers = True
        while listens(one.port):
            if not lingers or time.monotonic() > until:
                raise StackError(f"{one.name}: something else listens on {one.address}")
            time.sleep(0.1)
            lingers = processes.lingers(self._state().pids.get(one.name, 0))

    def _wait(self, wanted: Sequence[Process]) -> None:
        until = time.monotonic() + _PATIENCE
        for one in wanted:
            while not one.healthy():
                if not self._runs(one.name):
                    raise StackError(f"{one.name} ended; the last of {self._tail(one.name)}")
                if time.monotonic() > until:
                    raise StackError(f"{one.name} is not healthy yet; the last of {self._tail(one.name)}")
                time.sleep(0.2)

    def _status(self, one: Process, pid: int | None) -> Status:
        running = self._runs(one.name)
        return Status(
            name=one.name,
            part=one.part,
            pid=pid if running else None,
            running=running,
            healthy=running and one.healthy(),
            address=one.address,
            memory=processes.memory(self.folder, one.name) if running else 0,
            log=str(self.log(one.name)),
        )

    def _tail(self, name: str) -> str:
        log = self.log(name)
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if log.exists() else []
        return "\n  ".join([f"{log}:", *lines])

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "stack.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _read(self) -> _State | None:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_State)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as problem:
            raise StackError(f"{self._file}: {problem}; is this the folder of a stack?") from problem

    def _state(self) -> _State:
        return self._read() or _State(self.ports, {})

    def _write(self, state: _State) -> None:
        partial = self._file.with_suffix(".partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
        partial.replace(self._file)


def part_of(process: str) -> str:
    """The part that a process belongs to."""
    return _OWNERS.get(process, "flink")
