"""Rows between the wire and a chunk: their columns, and what was found against each row.

JSON and Arrow fill a draft each in their way; the last checks and the chunks are made here, for both.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.arrow import TIME, columns
from schemas.chunk import Chunk, Form
from schemas.identity import IDENTITY_FIELDS
from schemas.wire.reasons import Reason
from schemas.wire.signals import resolve_signals

Mask = npt.NDArray[np.bool_]

#: How far ahead of its Kafka timestamp a change may lie.
CHANGE_AHEAD_S = 90 * 86400.0


@dataclass
class Draft:
    """``count`` rows of one form.

    Attributes:
        columns: Wire name → array of ``count`` values, typed as in a chunk; absent columns are left out.
        row: Each row's index in its record.
        vectors: Dimension → (indices of rows, float32 matrix), for embeddings.
        refused: Row → (reason, detail), the first found.
        ignored: Row → the name it is counted by.
    """

    form: Form
    count: int
    columns: dict[str, pa.Array]
    row: npt.NDArray[np.int32]
    vectors: dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]] = field(default_factory=dict)
    refused: dict[int, tuple[Reason, str]] = field(default_factory=dict)
    ignored: dict[int, str] = field(default_factory=dict)

    def refuse(self, bad: Mask, reason: Reason, detail: str) -> None:
        """Refuse the rows that are set, unless something was found against them before."""
        for index in np.flatnonzero(bad).tolist():
            if index not in self.ignored:
                self.refused.setdefault(index, (reason, detail))

    def ignore(self, bad: Mask, name: str) -> None:
        """Ignore the rows that are set and not refused, counted by this name."""
        for index in np.flatnonzero(bad).tolist():
            if index not in self.refused:
                self.ignored[index] = name

    def ignored_by_name(self) -> dict[str, int]:
        """How many rows are ignored, by name."""
        return dict(Counter(self.ignored.values())) if self.ignored else {}

    def chunks(self, topic: str, broker_time_ms: int | None, ahead_s: float) -> list[Chunk]:
        """Make the last checks and the chunks of what is left."""
        if len(self.refused) == self.count:  # a required column may be missing as a whole
            return []
        self._check_times(broker_time_ms, ahead_s)
        if self.form == "changes":
            self._check_target()
        elif self.form == "metrics":
            resolve_signals(self)
        if self.form == "embeddings":
            return self._embedding_chunks(topic)
        keep = self._kept()
        if keep is not None and not len(keep):
            return []
        return [Chunk(topic, self.form, self._batch(keep))]

    def _check_times(self, broker_time_ms: int | None, ahead_s: float) -> None:
        limit = TIME[1]
        for name in ("event_time", "ends_at"):
            times = self.columns.get(name)
            if times is None:
                continue
            values = times.to_numpy(zero_copy_only=False) if not times.null_count else _filled(times)
            if self.count and (values.min() < TIME[0] or values.max() > limit):
                self.refuse(
                    (values < TIME[0]) | (values > limit), "bad_time", f"{name}: year outside 1 to 9999"
                )
            if name == "event_time" and broker_time_ms is not None:
                ahead = max(ahead_s, CHANGE_AHEAD_S) if self.form == "changes" else ahead_s
                latest = broker_time_ms + int(ahead * 1000)
                if self.count and values.max() > latest:
                    self.refuse(
                        values > latest,
                        "future_time",
                        f"event_time: over {ahead:g} s ahead of the Kafka timestamp",
                    )

    def _check_target(self) -> None:
        present = np.zeros(self.count, bool)
        for name in IDENTITY_FIELDS:
            values = self.columns.get(name)
            if values is not None:
                present |= values.is_valid().to_numpy(zero_copy_only=False)
        if not present.all():
            self.refuse(~present, "missing_field", "a change needs at least one identity field")

    def _kept(self) -> npt.NDArray[np.int64] | None:
        """Indices of the rows that stay; ``None`` for all of them."""
        if not self.refused and not self.ignored:
            return None
        keep = np.ones(self.count, bool)
        keep[list(self.refused)] = False
        keep[list(self.ignored)] = False
        return np.flatnonzero(keep)

    def _batch(
        self, keep: npt.NDArray[np.int64] | None, extra: dict[str, pa.Array] | None = None
    ) -> pa.RecordBatch:
        names, arrays = [], []
        taken = None if keep is None else pa.array(keep)
        for name in (*columns(self.form), *_OPENTELEMETRY):
            if extra is not None and name in extra:
                values = extra[name]
            elif name in self.columns:
                values = self.columns[name]
                values = values if taken is None else _taken(values, taken)
            else:
                continue
            if values.null_count < len(values):
                names.append(name)
                arrays.append(values)
        names.append("row")
        arrays.append(pa.array(self.row if keep is None else self.row[keep]))
        return pa.RecordBatch.from_arrays(arrays, names)

    def _embedding_chunks(self, topic: str) -> list[Chunk]:
        kept = self._kept()
        if not self.vectors or "embedder_version" not in self.columns:
            return []
        version = self.columns["embedder_version"].indices.fill_null(-1).to_numpy()
        chunks = []
        for dim, (rows, matrix) in sorted(self.vectors.items()):
            stays = np.ones(len(rows), bool) if kept is None else np.isin(rows, kept)
            for code in np.unique(version[rows[stays]]).tolist():
                chosen = stays & (version[rows] == code)
                whole = chosen.all() and len(rows) == self.count and bool((np.diff(rows) == 1).all())
                flat = np.ascontiguousarray(matrix if whole else matrix[chosen]).reshape(-1)
                vector = pa.FixedSizeListArray.from_arrays(pa.array(flat), dim)
                batch = self._batch(None if whole else rows[chosen], {"vector": vector})
                chunks.append(Chunk(topic, "embeddings", batch))
        return chunks


#: Columns only OpenTelemetry metrics have (see `schemas.chunk.Chunk`).
_OPENTELEMETRY = ("hist_bounds", "hist_counts", "hist_sum", "start_time", "stream")


def _taken(values: pa.Array, rows: pa.Array) -> pa.Array:
    """Some rows of a column; what only the other rows held leaves its dictionary too."""
    taken = values.take(rows)
    return taken.cast(pa.utf8()).dictionary_encode() if pa.types.is_dictionary(taken.type) else taken


def _filled(times: pa.Array) -> npt.NDArray[np.int64]:
    filled: npt.NDArray[np.int64] = times.fill_null(0).to_numpy(zero_copy_only=False)
    return filled
