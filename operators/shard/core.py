"""A shard: messages in, closed buckets and event revisions out.

All it knows of time is what the partitions announce. A bucket closes when that time, less the allowed lateness, has
passed its end; a detection window closes with its last bucket. Windows in which the whole pipeline was silent are
skipped: then driftline itself has no data.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from operators.embedding import EmbeddingState
from operators.emission import Emission
from operators.message import Message, ProducerFault
from operators.settings import Settings
from operators.shard.buckets import OpenBuckets
from operators.shard.changes import Changes
from operators.shard.clock import Clock
from operators.shard.counters import Counters
from operators.shard.embeddings import embedding_findings
from operators.shard.evaluation import Evaluation
from operators.shard.faults import fault_findings
from operators.shard.rows import bucket_rows
from operators.shard.sketches import Sketches, merge
from operators.shard.slices import Slicer, read_cells
from operators.state import pack, unpack
from schemas.outputs import AnomalyEvent, AnomalyWindow
from schemas.records import ChangeRecord

_VERSION = 1
_READABLE = frozenset({1})


class _Output:
    """What one step hands out, gathered."""

    def __init__(self) -> None:
        self.events: list[AnomalyEvent] = []
        self.windows: list[AnomalyWindow] = []
        self.buckets: list[pa.Table] = []
        self.closed: list[int] = []
        self.changes: list[ChangeRecord] = []
        self.edges: dict[tuple[str, str, str], None] = {}
        self.late: dict[str, int] = {}

    def emission(self, shard: int) -> Emission:
        return Emission(
            shard=shard,
            first_ms=min(self.closed, default=None),
            last_ms=max(self.closed, default=None),
            events=tuple(self.events),
            windows=tuple(self.windows),
            buckets=pa.concat_tables(self.buckets).unify_dictionaries() if self.buckets else None,
            changes=tuple(self.changes),
            edges=tuple(self.edges),
            late=self.late,
        )


class Shard:
    """One shard of the pipeline.

    Args:
        index: 0 to ``settings.shards`` - 1; shard 0 also hands out changes, edges, and what came too late.
        settings: all settings of the core.
    """

    def __init__(self, index: int, settings: Settings) -> None:
        windows = settings.windows
        if windows.detect_s % windows.bucket_s:
            raise ValueError(
                f"windows.detect_s ({windows.detect_s}) is no multiple of windows.bucket_s ({windows.bucket_s})"
            )
        self.index = index
        self.settings = settings
        self.bucket_ms, self.window_ms = windows.bucket_s * 1000, windows.detect_s * 1000
        self.clock = Clock()
        self.open = OpenBuckets(settings.slices)
        self.counters = Counters()
        self.slicer = Slicer(settings.slices)
        self.changes = Changes()
        self.evaluation = Evaluation(settings)
        self.embeddings: EmbeddingState | None = None
        self.closed_to: int | None = None
        self._window: int | None = None
        self._whole = False
        self._parts: list[Sketches] = []
        self._active: set[int] = set()
        self._faults: list[ProducerFault] = []

    def receive(self, message: Message) -> Emission:
        """Take in a message and close what its time allows."""
        output = _Output()
        for ready in self.clock.admit(message):
            self._take(ready, output)
        time = self.clock.read()
        if time is not None:
            self._close(time - self.settings.windows.lateness_s * 1000, output)
        return output.emission(self.index)

    def finish(self) -> Emission:
        """The end of input: close every bucket, write each open event's last revision, resolve nothing.

        A window that the data do not fill to its end is not judged.
        """
        output = _Output()
        starts = [*self.open.starts(), *self._active]
        reached = self.clock.time_ms if self.clock.time_ms is not None else -(2**62)
        last = max(
            [*starts, *([] if self.closed_to is None else [self.closed_to - self.bucket_ms])], default=None
        )
        if last is None:
            return output.emission(self.index)
        self._close(last + self.bucket_ms, output)
        if self._window is not None and reached + self.bucket_ms > self._window + self.window_ms:
            self._end_window(output)
        output.events.extend(self.evaluation.lifecycle.finish(self.closed_to or 0))
        return output.emission(self.index)

    def _take(self, message: Message, output: _Output) -> None:
        for change in message.changes:
            self.changes.add(change)
        for by_bucket in message.ledger.values():
            self._active.update(
                start for start in by_bucket if self.closed_to is None or start >= self.closed_to
            )
        if message.cells:
            self.open.add(message.cells, self.closed_to)
        if message.vectors:
            self._add_vectors(message.vectors)
        if self.index == 0:
            self._faults.extend(message.faults)
            output.changes.extend(message.changes)
            output.edges |= dict.fromkeys(message.edges)
            for topic, by_bucket in message.ledger.items():
                late = sum(n for start, n in by_bucket.items() if start < (self.closed_to or -(2**62)))
                if late:
                    output.late[topic] = output.late.get(topic, 0) + late

    def _add_vectors(self, stream: bytes) -> None:
        with pa.ipc.open_stream(stream) as reader:
            table = reader.read_all()
        starts = table.column("bucket").to_numpy()
        if self.closed_to is not None:
            table = table.filter(pa.array(starts >= self.closed_to))
            starts = starts[starts >= self.closed_to]
        if not table.num_rows:
            return
        if self.embeddings is None:
            self.embeddings = EmbeddingState(self.settings)
        self.embeddings.add(table)
        self._active.update(np.unique(starts).tolist())

    def _close(self, reached: int, output: _Output) -> None:
        """Close the buckets that end at or before ``reached`` (Unix ms)."""
        limit = reached // self.bucket_ms * self.bucket_ms
        if self.closed_to is not None and limit <= self.closed_to:
            return
        due = sorted({start for start in (*self.open.starts(), *self._active) if start < limit})
        for start in due:
            window = start // self.window_ms * self.window_ms
            if self._window is not None and window != self._window:
                self._end_window(output)
            if self._window is None:
                self._whole = start == window if self.closed_to is None else True
                self._window = window
            self.closed_to = start + self.bucket_ms
            self._close_bucket(start, output)
        self._active.difference_update(due)
        self.closed_to = limit
        if self._window is not None and self._window + self.window_ms <= limit:
            self._end_window(output)

    def _close_bucket(self, start: int, output: _Output) -> None:
        output.closed.append(start)
        table = self.open.take(start)
        if table is not None:
            cells = self.counters.apply(read_cells(table, self.settings.slices))
            rows, codes, values = self.slicer.slices(cells)
            index = self.evaluation.enter(start, rows, codes, values)
            self._parts.append(rows)
            output.buckets.append(
                bucket_rows(start, self.settings.windows.bucket_s, rows, self.evaluation.catalogue, index)
            )
        if self.embeddings is not None:
            self._judge_embeddings(start, output)

    def _judge_embeddings(self, start: int, output: _Output) -> None:
        assert self.embeddings is not None
        lifecycle = self.evaluation.lifecycle
        for first, end, findings in embedding_findings(self.embeddings.close(start)):
            events, windows = lifecycle.step(first, end, findings, self.changes.suppress)
            output.events.extend(events)
            output.windows.extend(windows)
            for finding in findings:
                episode = lifecycle.episodes.get((finding.source, finding.key))
                if episode is not None:
                    self.embeddings.freeze(finding.key, None if episode.visible else end)

    def _end_window(self, output: _Output) -> None:
        assert self._window is not None
        start, end = self._window, self._window + self.window_ms
        rows = merge(self._parts) if self._parts else Sketches.empty()
        self._parts, self._window = [], None
        events, windows = self.evaluation.close(start, rows, self.changes.suppress, whole=self._whole)
        output.events.extend(events)
        output.windows.extend(windows)
        if self.index == 0:
            due = [fault for fault in self._faults if fault.minute_ms < end]
            self._faults = [fault for fault in self._faults if fault.minute_ms >= end]
            lifecycle = self.evaluation.lifecycle
            events, windows = lifecycle.step(
                start, end, fault_findings(due, lifecycle.episodes), self.changes.suppress
            )
            output.events.extend(events)
            output.windows.extend(windows)
        self.changes.forget(end)

    def snapshot(self) -> bytes:
        """The whole state; `restore` and going on gives the same as never having stopped."""
        values, arrays = self.evaluation.snapshot()
        arrays |= {f"counters.{name}": array for name, array in self.counters.arrays().items()}
        for place, part in enumerate(self._parts):
            arrays |= {f"part{place}.{name}": array for name, array in part.arrays().items()}
        own: dict[str, Any] = {
            "index": self.index,
            "config_hash": self.settings.config_hash(),
            "clock": self.clock.snapshot(),
            "open": self.open.snapshot(),
            "kept": self.slicer.snapshot(),
            "changes": self.changes.snapshot(),
            "embeddings": None if self.embeddings is None else self.embeddings.snapshot(),
            "closed_to": self.closed_to,
            "window": self._window,
            "whole": self._whole,
            "parts": len(self._parts),
            "active": sorted(self._active),
            "faults": _faults(self._faults),
            "evaluation": values,
        }
        return pack("shard", _VERSION, own, arrays)

    @classmethod
    def restore(cls, data: bytes, settings: Settings) -> "Shard":
        """The shard a snapshot was taken of.

        Raises:
            StateError: not a shard's snapshot, or of a version this code does not read.
        """
        _, own, arrays = unpack("shard", _READABLE, data)
        shard = cls(own["index"], settings)
        shard.clock = Clock.restore(own["clock"])
        shard.open.restore(own["open"])
        shard.slicer.restore(own["kept"])
        shard.changes.restore(own["changes"])
        shard.counters.load(_of(arrays, "counters."))
        shard.closed_to, shard._window, shard._whole = own["closed_to"], own["window"], own["whole"]
        shard._parts = [Sketches(**_of(arrays, f"part{place}.")) for place in range(own["parts"])]
        shard._active = set(own["active"])
        shard._faults = [ProducerFault(**fault) for fault in own["faults"]]
        shard.evaluation.restore(own["evaluation"], arrays)
        if own["embeddings"] is not None:
            shard.embeddings = EmbeddingState.restore(own["embeddings"], settings)
        return shard


def _of(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _faults(faults: list[ProducerFault]) -> list[dict[str, Any]]:
    return [{name: getattr(fault, name) for name in fault.__struct_fields__} for fault in faults]
