"""A shard: messages in, closed buckets and event revisions out.

All it knows of time is what the partitions announce. A bucket closes when that time, less the allowed
lateness, has passed its end: what comes for it later is late. Its cells wait for the other buckets of their
detection window, are sliced together with them, and become its rows and verdicts. Windows in which the
whole pipeline was silent are skipped: then driftline itself has no data.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from operators.emission import Emission
from operators.message import Message, ProducerFault
from operators.settings import Settings
from operators.shard.buckets import OpenWindows
from operators.shard.changes import Changes
from operators.shard.clock import Clock
from operators.shard.counters import Counters
from operators.shard.embeddings import embedding_findings
from operators.shard.ended import DAYS, Days
from operators.shard.evaluation import Evaluation
from operators.shard.faults import fault_findings
from operators.shard.history import Past
from operators.shard.rows import bucket_rows
from operators.shard.sketches import Ints, Sketches, concat
from operators.shard.slices import Slicer, read_cells
from operators.shard.words import fold_words
from operators.state import pack, unpack
from schemas.outputs import AnomalyEvent, AnomalyWindow
from schemas.records import ChangeRecord

if TYPE_CHECKING:
    from operators.embedding import EmbeddingState

_VERSION = 6
_READABLE = frozenset({6})


class _Output:
    """What one step hands out, gathered."""

    def __init__(self) -> None:
        self.events: list[AnomalyEvent] = []
        self.windows: list[AnomalyWindow] = []
        self.rows: list[tuple[Ints, Sketches, Ints]] = []
        self.tables: list[pa.Table] = []
        self.closed: list[int] = []
        self.changes: list[ChangeRecord] = []
        self.edges: dict[tuple[str, str, str], None] = {}
        self.late: dict[str, int] = {}

    def tell(self, told: tuple[list[AnomalyEvent], list[AnomalyWindow]]) -> None:
        """Add event revisions and their windows."""
        self.events.extend(told[0])
        self.windows.extend(told[1])

    def emission(self, shard: int) -> Emission:
        """All of it but ``rows``, which are in a table by now."""
        return Emission(
            shard=shard,
            first_ms=min(self.closed, default=None),
            last_ms=max(self.closed, default=None),
            events=tuple(self.events),
            windows=tuple(self.windows),
            buckets=pa.concat_tables(self.tables).unify_dictionaries() if self.tables else None,
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
                f"windows.detect_s ({windows.detect_s}) is no multiple "
                f"of windows.bucket_s ({windows.bucket_s})"
            )
        self.index = index
        self.settings = settings
        self.bucket_ms, self.window_ms = windows.bucket_s * 1000, windows.detect_s * 1000
        self.clock = Clock()
        self.open = OpenWindows(settings.slices, self.window_ms)
        self.counters = Counters()
        self.slicer = Slicer(settings.slices)
        self.changes = Changes()
        self.evaluation = Evaluation(settings)
        self.embeddings: EmbeddingState | None = None
        self.closed_to: int | None = None
        self._days = Days(self.window_ms)
        self._begun = False
        self._active: dict[int, set[int]] = {}
        self._faults: list[ProducerFault] = []

    @property
    def open_buckets(self) -> int:
        """Buckets that have data and whose window has not ended."""
        return sum(map(len, self._active.values()))

    def receive(self, message: Message) -> Emission:
        """Take in a message and close what its time allows."""
        output = _Output()
        for ready in self.clock.admit(message):
            self._take(ready, output)
        time = self.clock.read()
        if time is not None:
            self._close(time - self.settings.windows.lateness_s * 1000, output)
        return self._emission(output)

    def learn(self, past: Past) -> None:
        """Learn from a window that was closed before this run; end with `begin`."""
        new = self.evaluation.unknown(past.rows.key)
        if len(new):
            codes = {name: code[new] for name, code in past.codes.items()}
            self.evaluation.enter(past.start, past.rows.key[new], codes, past.values)
        self.evaluation.learn(past.start, past.rows)

    def begin(self) -> None:
        """Start warm, after `learn`."""
        self.evaluation.begin()

    def finish(self) -> Emission:
        """The end of input: close every bucket, write each open event's last revision, resolve nothing.

        A window that the partitions' time has not filled is not judged.
        """
        output = _Output()
        due = [bucket for buckets in self._active.values() for bucket in buckets]
        if due:
            self._close(max(due) + self.bucket_ms, output)
        reached = (self.clock.time_ms or 0) + self.bucket_ms
        for window in sorted(self._active):
            self._end_window(window, output, judged=reached >= window + self.window_ms)
        output.events.extend(self.evaluation.lifecycle.finish(self.closed_to or 0))
        return self._emission(output)

    def _take(self, message: Message, output: _Output) -> None:
        for change in message.changes:
            self.changes.add(change)
        for by_bucket in message.ledger.values():
            self._mark(start for start in by_bucket if self.closed_to is None or start >= self.closed_to)
        if message.cells:
            self._mark(self.open.add(message.cells, self.closed_to))
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
            self.embeddings = _embedding_state()(self.settings)
        self.embeddings.add(table)
        self._mark(np.unique(starts).tolist())

    def _mark(self, buckets: Iterable[int]) -> None:
        """Note that there are data in these buckets; their windows have not ended."""
        for bucket in buckets:
            self._active.setdefault(bucket // self.window_ms * self.window_ms, set()).add(bucket)

    def _close(self, reached: int, output: _Output) -> None:
        """Close the buckets that end at or before ``reached`` (Unix ms), and the windows they complete."""
        limit = reached // self.bucket_ms * self.bucket_ms
        if self.closed_to is not None and limit <= self.closed_to:
            return
        self.closed_to = limit
        for window in sorted(self._active):
            if window + self.window_ms <= limit:
                self._end_window(window, output, judged=True)

    def _end_window(self, start: int, output: _Output, *, judged: bool) -> None:
        """Hand out a window's buckets and judge what they add up to."""
        end = start + self.window_ms
        buckets = sorted(self._active.pop(start))
        output.closed.extend(buckets)
        rows = self._slice(start, self.open.take(start), output)
        if not judged:
            return
        suppress = self.changes.suppress
        # the first window of all may have begun before its data
        whole = self._begun or buckets[0] == start
        self._begun = True
        output.tell(self.evaluation.close(start, rows, suppress, self.changes.meant, whole=whole))
        if self.embeddings is not None:
            for bucket in buckets:
                self._judge_embeddings(self.embeddings, bucket, output)
        if self.index == 0:
            due = [fault for fault in self._faults if fault.minute_ms < end]
            self._faults = [fault for fault in self._faults if fault.minute_ms >= end]
            lifecycle = self.evaluation.lifecycle
            output.tell(lifecycle.step(start, end, fault_findings(due, lifecycle.episodes), suppress))
        self.changes.forget(end)
        day = self._days.over(self.evaluation.presence.window, end)
        if day is not None:
            self._let_go(day, end, output)

    def _let_go(self, before: int, end: int, output: _Output) -> None:
        """Forget slices of which nothing was reported since ``before``, and all that is kept of them."""
        lifecycle = self.evaluation.lifecycle
        gone = self.evaluation.ended(DAYS * self._days.windows)
        if gone:
            self._tabulate(output)
            output.events.extend(self.evaluation.let_go(gone, end))
            self.slicer.let_go(gone)
        if self.embeddings is not None:
            ended = self.embeddings.let_go(before)
            places = [at for at in lifecycle.episodes if (at[1].side, at[1].slice) in ended]
            output.events.extend(lifecycle.let_go(places, end))

    def _slice(self, start: int, table: pa.Table | None, output: _Output) -> Sketches:
        """A window's sketches by base; they go to the output, too."""
        if table is None:
            return Sketches.empty()
        evaluation = self.evaluation
        cells = self.counters.apply(read_cells(table, self.settings.slices))
        # six short buckets would be six times the rows for analysts, and say no more: sketches add up
        sliced = self.slicer.slices(replace(cells, bucket=np.full(len(cells), start)))
        new = evaluation.unknown(sliced.rows.key)
        if len(new):
            words, cap = evaluation.catalogue.words, self.settings.slices.attribute_cap
            cells, folded = fold_words(cells, sliced, words, new, cap)
            if folded is not sliced:
                sliced, new = folded, evaluation.unknown(folded.rows.key)
            codes, values = self.slicer.names(cells, sliced, new)
            evaluation.enter(start, sliced.rows.key[new], codes, values)
        output.rows.append((sliced.bucket, sliced.rows, evaluation.catalogue.find(sliced.rows.key)))
        return sliced.rows

    def _emission(self, output: _Output) -> Emission:
        """What a step hands out, the rows of all its windows in one table."""
        self._tabulate(output)
        return output.emission(self.index)

    def _tabulate(self, output: _Output) -> None:
        """Put rows into a table while their bases are known."""
        if not output.rows:
            return
        starts, rows, index = zip(*output.rows, strict=True)
        table = bucket_rows(
            np.concatenate(starts),
            self.settings.windows.detect_s,
            concat(rows),
            self.evaluation.catalogue,
            np.concatenate(index),
        )
        output.tables.append(table)
        output.rows = []

    def _judge_embeddings(self, embeddings: "EmbeddingState", bucket: int, output: _Output) -> None:
        lifecycle = self.evaluation.lifecycle
        for start, end, findings in embedding_findings(embeddings.close(bucket)):
            output.tell(lifecycle.step(start, end, findings, self.changes.suppress))
            for finding in findings:
                episode = lifecycle.episodes.get((finding.source, finding.key))
                if episode is not None:
                    embeddings.freeze(finding.key, None if episode.visible else end)

    def snapshot(self) -> bytes:
        """The whole state; `restore` and going on gives the same as never having stopped."""
        values, arrays = self.evaluation.snapshot()
        arrays |= {f"counters.{name}": array for name, array in self.counters.arrays().items()}
        own: dict[str, Any] = {
            "index": self.index,
            "config_hash": self.settings.config_hash(),
            "clock": self.clock.snapshot(),
            "open": self.open.snapshot(),
            "kept": self.slicer.snapshot(),
            "changes": self.changes.snapshot(),
            "embeddings": None if self.embeddings is None else self.embeddings.snapshot(),
            "closed_to": self.closed_to,
            "begun": self._begun,
            "days": self._days.ends,
            "active": sorted(bucket for buckets in self._active.values() for bucket in buckets),
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
        shard.closed_to, shard._begun = own["closed_to"], own["begun"]
        shard._days.ends = own.get("days", [])
        shard._mark(own["active"])
        shard._faults = [ProducerFault(**fault) for fault in own["faults"]]
        shard.evaluation.restore(own["evaluation"], arrays)
        if own["embeddings"] is not None:
            shard.embeddings = _embedding_state().restore(own["embeddings"], settings)
        return shard


def _embedding_state() -> "type[EmbeddingState]":
    from operators.embedding import EmbeddingState  # a shard without vectors never waits for the scorers

    return EmbeddingState


def _of(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _faults(faults: list[ProducerFault]) -> list[dict[str, Any]]:
    return [{name: getattr(fault, name) for name in fault.__struct_fields__} for fault in faults]
