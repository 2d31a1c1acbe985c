"""Any driftline source as a Beam unbounded source: a reader's checkpoint is its snapshot.

An element is one poll's parcel of deliveries, so nothing is per record. A mark is finalised by committing
offsets: at once where the runner's checkpoint covers what is behind the source (Flink, Dataflow), else only
what the sinks have acknowledged.

What Beam keeps of a source in a savepoint is its pickle: it holds a job id and a share and nothing else. How
to open it comes with the stages of the job that runs now.

A share's reader stays open between bundles, here and not in Beam's cache of them: every copy of a stage has
one of its own, which keeps the mark, megabytes of it, of each reader that another copy went on with for a
minute or longer (0.3 GB at 20,000 samples a second on Flink).
"""

import logging
import os
import threading
import time
from collections.abc import Iterable
from typing import Any

from apache_beam import coders
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    UnboundedReader,
    UnboundedSource,
    _ReadFromUnboundedSourceDoFn,
)
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from operators.adapters.beam.codec import encode_parcel, parcel
from operators.adapters.beam.process import Inlet, inlet, process
from operators.adapters.reader import Reader
from operators.meters import Meters
from operators.state import StateError

log = logging.getLogger(__name__)

#: First line of every encoded mark; the intakes' snapshots in it have a version of their own.
_LAYOUT = b"driftline mark 1"

#: A share that no bundle asked for in so long (s) is read in another process by now.
LEFT_S = 60.0


class Mark(CheckpointMark):
    """Where a reader stood. The offsets to commit are those of its snapshot.

    ``stamp``: of the reader's state, by which a reader that has not moved since is known again.
    """

    def __init__(self, job_id: str, part: tuple[int, int], stamp: bytes, snapshot: bytes) -> None:
        self.job_id = job_id
        self.part = part
        self.stamp = stamp
        self.snapshot = snapshot

    def finalize_checkpoint(self) -> None:
        """Commit what the sinks acknowledged, or all the mark covers where a checkpoint covers the rest."""
        here = process(self.job_id)
        done = (
            here.acknowledgements.positions() if here.acknowledgements else Reader.positions_of(self.snapshot)
        )
        with here.lock:
            reader = here.readers.get(self.part[0])
        if reader is not None:
            reader.commit(done)


class MarkCoder(coders.Coder):
    """Bytes of a `Mark`; marks cut without a step between them are equal."""

    def encode(self, value: Mark) -> bytes:
        """Mark to bytes."""
        index, of = value.part
        about = b"%s %d %d %s" % (value.job_id.encode(), index, of, value.stamp.hex().encode())
        return b"\n".join((_LAYOUT, about, value.snapshot))

    def decode(self, encoded: bytes) -> Mark:
        """Bytes to mark; `StateError` where another version wrote them otherwise."""
        layout, about, snapshot = encoded.split(b"\n", 2)
        if layout != _LAYOUT:
            raise StateError(
                f"a source's checkpoint begins with {layout[:40]!r}; this driftline reads {_LAYOUT!r}: "
                "resume with the version that wrote it, or start without a savepoint"
            )
        job_id, index, of, stamp = about.decode().split(" ")
        return Mark(job_id, (int(index), int(of)), bytes.fromhex(stamp), snapshot)

    def is_deterministic(self) -> bool:
        """Equal marks give equal bytes."""
        return True


class TelemetrySource(UnboundedSource):
    """One share of the job's partitions; split into ``readers`` shares by the runner."""

    def __init__(self, job_id: str, *, readers: int = 1, part: tuple[int, int] = (0, 1)) -> None:
        self._job_id = job_id
        self._readers = readers
        self._part = part

    def split(self, desired_num_splits: int, options: Any = None) -> Iterable["TelemetrySource"]:
        """As many shares as readers were asked for."""
        shares = range(self._readers)
        return [TelemetrySource(self._job_id, part=(index, self._readers)) for index in shares]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> "TelemetryReader":
        """A reader at its start, or where the mark says.

        The one that this process has open already goes on, if it stands exactly there: a runner hands a
        share from one copy of the source's stage to another at any bundle, and connecting anew is slow.
        """
        mark = checkpoint_mark if isinstance(checkpoint_mark, Mark) else None
        here = process(self._job_id)
        now = time.monotonic()
        with here.lock:
            before = here.readers.pop(self._part[0], None)
            left = [index for index, other in here.readers.items() if other.rests_s(now) > LEFT_S]
            gone = [here.readers.pop(index) for index in left]
        for other in gone:
            other.shut()
        reader = before.hand_over(mark) if before else None
        if reader is None:
            how = inlet(self._job_id)
            reader = _read_on(how, how.opener(self._part), mark, here.meters)
        return TelemetryReader(reader, self._job_id, self._part, mark)

    def get_checkpoint_mark_coder(self) -> MarkCoder:
        """Coder of this source's marks."""
        return MarkCoder()

    def default_output_coder(self) -> coders.Coder:
        """Elements are parcels as bytes."""
        return coders.BytesCoder()


class Read(_ReadFromUnboundedSourceDoFn):
    """Parcels, as bytes, of a source that is its one element: Beam's reading without its cache of readers."""

    def __init__(self, *, polls: int, seconds: float, poll_s: float) -> None:
        """``polls`` and ``seconds`` of one bundle at most; ``poll_s`` to wait after a poll of nothing."""
        super().__init__(poll_s, polls, seconds)

    def setup(self) -> None:
        """There is no cache to make."""


def _read_on(how: Inlet, source: Any, mark: Mark | None, meters: Meters) -> Reader:
    try:
        if mark is None:
            return Reader(source, how.settings, until_end=how.until_end, meters=meters)
        log.info("reading goes on from a checkpoint")
        return Reader.restore(mark.snapshot, source, how.settings, until_end=how.until_end, meters=meters)
    except BaseException:
        source.close()
        raise


class TelemetryReader(UnboundedReader):
    """Polls once an element, waiting for at most half a second, which is what keeps an idle job calm."""

    def __init__(self, reader: Reader, job_id: str, part: tuple[int, int], mark: Mark | None = None) -> None:
        self._reader: Reader | None = reader
        self._job_id = job_id
        self._part = part
        self._current = b""
        self._process = process(job_id)
        self._mark = mark  # of where the reader stands; None once it has moved
        self._rests: float | None = None  # since the end of its bundle, monotonic seconds
        self._using = threading.Lock()  # clients are not for two threads, and commits come from another one
        with self._process.lock:
            self._process.readers[part[0]] = self

    def start(self) -> bool:
        """Poll for the first time."""
        return self.advance()

    def advance(self) -> bool:
        """Poll; whether anything came."""
        with self._using:
            reader = self._held()
            if self._process.stop.is_set() or reader.finished:
                return False
            mark, self._mark = self._mark, None  # of one that fails half way nobody knows where it stands
            steps = reader.step(time.monotonic())
            self._process.no_data_s = max(self._process.no_data_s, reader.no_data_s)
            if not steps:
                self._mark = mark
                return False
        acknowledgements = self._process.acknowledgements
        if acknowledgements is not None:
            for step in steps:
                acknowledgements.read(step.partition, step.next_offset, step.last_bucket)
        if self._process.progress is not None:
            self._process.progress(reader.time_ms)
        self._current = encode_parcel(parcel(steps))
        return True

    def get_current(self) -> bytes:
        """The last poll's parcel."""
        return self._current

    def get_current_timestamp(self) -> Timestamp:
        """The reader's time: nothing behind it is windowed by Beam."""
        return self._time()

    def get_watermark(self) -> Timestamp:
        """The reader's time; the end of time once all input is read, or the job is to stop."""
        if self._process.stop.is_set() or self._held().finished:
            return MAX_TIMESTAMP
        return self._time()

    def get_checkpoint_mark(self) -> Mark:
        """The reader's snapshot."""
        if self._mark is None:
            self._mark = Mark(self._job_id, self._part, os.urandom(8), self._held().snapshot())
        return self._mark

    def commit(self, positions: dict[str, int]) -> None:
        """Tell the source what is done with, unless another reader has it by now."""
        with self._using:
            if self._reader is not None:
                self._reader.commit(positions)

    def hand_over(self, mark: Mark | None) -> Reader | None:
        """What reads, if it stands where that mark was cut; else it is closed. This one is over then."""
        with self._using:
            reader, self._reader = self._reader, None
        if reader is not None and (self._mark is None or mark is None or self._mark.stamp != mark.stamp):
            reader.close()
            return None
        return reader

    def close(self) -> None:
        """The end of a bundle: it rests, until a later one goes on with it."""
        self._rests = time.monotonic()

    def rests_s(self, now: float) -> float:
        """For how many seconds no bundle has had it."""
        return 0.0 if self._rests is None else now - self._rests

    def shut(self) -> None:
        """Let go of the source."""
        with self._using:
            reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _held(self) -> Reader:
        if self._reader is None:
            raise RuntimeError("this reader was taken over by a later bundle")
        return self._reader

    def _time(self) -> Timestamp:
        time_ms = self._held().time_ms
        return MIN_TIMESTAMP if time_ms is None else Timestamp(micros=time_ms * 1000)
