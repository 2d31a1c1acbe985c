"""Any driftline source as a Beam unbounded source: one reader, its checkpoint the reader's snapshot.

An element is one poll's parcel of deliveries, so nothing is per record. A mark is finalised by committing
offsets: at once where the runner's checkpoint covers what is behind the source (Flink, Dataflow), else only
what the sinks have acknowledged.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from apache_beam import coders
from apache_beam.io.unbounded_source import CheckpointMark, UnboundedReader, UnboundedSource
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from operators.adapters.beam.codec import encode_parcel, parcel
from operators.adapters.beam.process import process
from operators.adapters.reader import Reader
from operators.adapters.source import Source
from operators.settings import Settings

log = logging.getLogger(__name__)

#: ``(index, of)`` to the source of that share of the partitions; picklable.
Opener = Callable[[tuple[int, int]], Source]

_live: dict[tuple[str, int], Reader] = {}


class Mark(CheckpointMark):
    """Where a reader stood. The offsets to commit are those of its snapshot."""

    def __init__(self, job_id: str, index: int, snapshot: bytes) -> None:
        self.job_id = job_id
        self.index = index
        self.snapshot = snapshot

    def finalize_checkpoint(self) -> None:
        """Commit what the sinks acknowledged, or all the mark covers where a checkpoint covers the rest."""
        reader = _live.get((self.job_id, self.index))
        if reader is None:
            return
        acknowledgements = process(self.job_id).acknowledgements
        done = acknowledgements.positions() if acknowledgements else Reader.positions_of(self.snapshot)
        reader.commit(done)


class MarkCoder(coders.Coder):
    """Deterministic bytes of a `Mark`: job, index, snapshot."""

    def encode(self, value: Mark) -> bytes:
        """Mark to bytes."""
        return b"%s\n%d\n" % (value.job_id.encode(), value.index) + value.snapshot

    def decode(self, encoded: bytes) -> Mark:
        """Bytes to mark."""
        job_id, index, snapshot = encoded.split(b"\n", 2)
        return Mark(job_id.decode(), int(index), snapshot)

    def is_deterministic(self) -> bool:
        """Equal readers give equal bytes."""
        return True


class TelemetrySource(UnboundedSource):
    """One share of a source's partitions; split into ``readers`` shares by the runner."""

    def __init__(
        self,
        opener: Opener,
        settings: Settings,
        job_id: str,
        *,
        until_end: bool,
        readers: int = 1,
        part: tuple[int, int] | None = None,
    ) -> None:
        self._opener = opener
        self._settings = settings
        self._job_id = job_id
        self._until_end = until_end
        self._readers = readers
        self._part = part

    def split(self, desired_num_splits: int, options: Any = None) -> Iterable["TelemetrySource"]:
        """As many shares as readers were asked for."""
        return [
            TelemetrySource(
                self._opener,
                self._settings,
                self._job_id,
                until_end=self._until_end,
                part=(index, self._readers),
            )
            for index in range(self._readers)
        ]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> "TelemetryReader":
        """A reader at its start, or where the mark says."""
        part = self._part or (0, 1)
        source = self._opener(part)
        if isinstance(checkpoint_mark, Mark):
            snapshot = checkpoint_mark.snapshot
            reader = Reader.restore(snapshot, source, self._settings, until_end=self._until_end)
        else:
            reader = Reader(source, self._settings, until_end=self._until_end)
        return TelemetryReader(reader, self._job_id, part[0])

    def get_checkpoint_mark_coder(self) -> MarkCoder:
        """Coder of this source's marks."""
        return MarkCoder()

    def default_output_coder(self) -> coders.Coder:
        """Elements are parcels as bytes."""
        return coders.BytesCoder()


class TelemetryReader(UnboundedReader):
    """Polls once an element, waiting for at most half a second, which is what keeps an idle job calm."""

    def __init__(self, reader: Reader, job_id: str, index: int) -> None:
        self._reader = reader
        self._job_id = job_id
        self._index = index
        self._current = b""
        self._process = process(job_id)
        _live[job_id, index] = reader

    def start(self) -> bool:
        """Poll for the first time."""
        return self.advance()

    def advance(self) -> bool:
        """Poll; whether anything came."""
        if self._process.stop.is_set() or self._reader.finished:
            return False
        steps = self._reader.step(time.monotonic())
        self._process.no_data_s = max(self._process.no_data_s, self._reader.no_data_s)
        if not steps:
            return False
        acknowledgements = self._process.acknowledgements
        if acknowledgements is not None:
            for step in steps:
                acknowledgements.read(step.partition, step.next_offset, step.last_bucket)
        if self._process.progress is not None:
            self._process.progress(self._reader.time_ms)
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
        if self._process.stop.is_set() or self._reader.finished:
            return MAX_TIMESTAMP
        return self._time()

    def get_checkpoint_mark(self) -> Mark:
        """The reader's snapshot."""
        return Mark(self._job_id, self._index, self._reader.snapshot())

    def close(self) -> None:
        """Let go of the source."""
        if _live.get((self._job_id, self._index)) is self._reader:
            del _live[self._job_id, self._index]
        self._reader.close()

    def _time(self) -> Timestamp:
        time_ms = self._reader.time_ms
        return MIN_TIMESTAMP if time_ms is None else Timestamp(micros=time_ms * 1000)
