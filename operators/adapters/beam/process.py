"""What the stages of one job share within one process: live shards, the will to stop, and the first failure.

Beam pickles DoFns and may run many copies of one; this is found by the job's id. Nothing here is state that
must survive: a shard that is not here is restored from Beam's state.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from operators.adapters.acknowledge import Acknowledgements
from operators.adapters.beam.meters import BeamMeters
from operators.adapters.beam.totals import Totals
from operators.adapters.source import Source
from operators.meters import Meters
from operators.settings import Settings
from operators.shard import Shard


class Inlet(NamedTuple):
    """How this job reads: ``opener`` gives the source of share ``(index, of)`` of the partitions."""

    opener: Callable[[tuple[int, int]], Source]
    settings: Settings
    until_end: bool


@dataclass
class Live:
    """A shard in memory, the stamp of the Beam state it equals, and how much that state has grown."""

    shard: Shard
    stamp: bytes
    totals: Totals
    snapshot_bytes: int = 0
    log_bytes: int = 0
    log_count: int = 0
    done_to: int | None = None
    told_s: float = 0.0


@dataclass
class Process:
    """Everything of one job in this process.

    ``acknowledgements``: where all of the job is in it. ``readers``: the open one of each share, by index.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    acknowledgements: Acknowledgements | None = None
    progress: Callable[[int | None], None] | None = None
    meters: Meters = field(default_factory=BeamMeters)
    no_data_s: float = 0.0
    failure: BaseException | None = None
    outputs: Any = None
    inlet: Inlet | None = None
    shards: dict[int, Live] = field(default_factory=dict)
    readers: dict[int, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_processes: dict[str, Process] = {}
_lock = threading.Lock()


def process(job_id: str) -> Process:
    """The job's shared part of this process, made on first use."""
    with _lock:
        return _processes.setdefault(job_id, Process())


def inlet(job_id: str) -> Inlet:
    """How the job reads.

    A source resumed from a savepoint carries the id of the job that wrote it: then the job whose stages were
    set up here last is the one that goes on with it.
    """
    with _lock:
        known = [_processes[job_id]] if job_id in _processes else []
        known += reversed(_processes.values())
        for here in known:
            if here.inlet is not None:
                return here.inlet
    raise RuntimeError("no stage of this job was set up in this process: its source cannot be opened")


def forget(job_id: str) -> None:
    """Close and drop what a job that is over left behind."""
    with _lock:
        left = _processes.pop(job_id, None)
    if left is not None:
        for reader in left.readers.values():
            reader.shut()
