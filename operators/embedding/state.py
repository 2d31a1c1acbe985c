"""The embedding side of a shard: projected rows in, a verdict per family for every window that closes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from operators.embedding.slices import distinct, slices_of
from operators.embedding.vectors import identity_fields
from operators.embedding.verdict import EmbeddingVerdict
from operators.series import SeriesKey, Slice
from operators.settings import Settings

if TYPE_CHECKING:
    from operators.embedding.decision import Decision
    from operators.embedding.group import Group, GroupKey
    from operators.embedding.series import Series

#: Columns that tell groups apart.
_GROUP_NAMES = ("topic", "side", "embedder_version", "service", "request_model")


class EmbeddingState:
    """Sketches, references and calibration of all embedding series of one shard.

    The scorers are imported with the first rows: a shard without embeddings never waits for them.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.groups: dict[GroupKey, Group] = {}
        self.frozen: dict[tuple[str, Slice, str], int | None] = {}
        self.closed_ms: int | None = None
        self.late = 0
        self._decision: Decision | None = None

    def add(self, vectors: pa.Table) -> None:
        """Take projected rows (`vector_schema`); those of closed buckets are counted in ``late``."""
        if isinstance(vectors, pa.RecordBatch):
            vectors = pa.Table.from_batches([vectors])
        if vectors.num_rows == 0:
            return
        bucket = vectors.column("bucket").to_numpy()
        if self.closed_ms is not None and bucket.min() < self.closed_ms:
            fresh = bucket >= self.closed_ms
            self.late += int(len(fresh) - fresh.sum())
            vectors, bucket = vectors.filter(pa.array(fresh)), bucket[fresh]
            if vectors.num_rows == 0:
                return
        self._distribute(vectors, bucket)

    def close(self, bucket_ms: int) -> list[EmbeddingVerdict]:
        """Close the bucket that starts at ``bucket_ms``.

        Buckets close in order; those without rows may be skipped. At the end of a detection period every
        series with enough vectors is scored.

        Returns:
            A verdict for each family of scorers of each window that ended, at most one a series, sorted.
        """
        windows = self.settings.windows
        end_ms = bucket_ms + windows.bucket_s * 1000
        self.closed_ms = end_ms
        over = [at for at, until in self.frozen.items() if until is not None and until <= bucket_ms]
        for at in over:
            del self.frozen[at]
        if not self.groups:
            return []
        period_ms = windows.detect_s * 1000
        verdicts: list[EmbeddingVerdict] = []
        self._close(bucket_ms, end_ms)
        if end_ms % period_ms == 0:
            verdicts.extend(self._judge(end_ms))
        return _one_each(verdicts)

    def _close(self, bucket_ms: int, end_ms: int) -> None:
        """Close a bucket of every group, prompts before their answers."""
        taken, beside = {}, {}
        for key in sorted(self.groups, key=lambda each: (each.side != "prompt", each)):
            prompts = self.groups.get(key._replace(side="prompt")) if key.side == "output" else None
            taken[key] = self.groups[key].take(bucket_ms, end_ms, prompts)
            if key.side == "prompt":
                beside[key] = self.groups[key].beside(taken[key])
        for key in sorted(taken):
            prompted = beside.get(key._replace(side="prompt"), {}) if key.side == "output" else {}
            self.groups[key].close(taken[key], prompted, bucket_ms, end_ms)

    def freeze(self, key: SeriesKey, until_ms: int | None) -> None:
        """References of this slice and side learn nothing until ``until_ms``; None: until told.

        Each family of a slice freezes for itself: the reference learns again when none does any more.
        """
        self.frozen[(key.side or "", key.slice, key.statistic)] = until_ms

    def let_go(self, before_ms: int) -> set[tuple[str, Slice]]:
        """Forget series that nobody has reported since ``before_ms``, and the groups that were theirs.

        Returns:
            Sides and slices of which nothing is left.
        """
        gone = {(key.side, each) for key, group in self.groups.items() for each in group.let_go(before_ms)}
        given_up = {key for key, group in self.groups.items() if group.given_up(before_ms)}
        if not (gone or given_up):
            return gone
        for key in sorted(self.groups, key=lambda each: each.side != "output"):
            # answers are scored given the prompts as these were fitted
            asked = key.side == "prompt" and key._replace(side="output") in self.groups
            if (self.groups[key].empty or key in given_up) and not asked:
                del self.groups[key]
        gone -= {(key.side, each) for key, group in self.groups.items() for each in group.series}
        self.frozen = {at: until for at, until in self.frozen.items() if at[:2] not in gone}
        if self._decision is not None:
            self._decision.recalibrate()
        return gone

    def rebase(self, key: SeriesKey) -> None:
        """Accept what is as the new normal: the slice's references start anew, and it says ``warming``."""
        for group in self.groups.values():
            series = group.series.get(key.slice)
            if group.key.side == key.side and series is not None:
                series.forget_reference()
        if self._decision is not None:
            self._decision.recalibrate()

    def snapshot(self) -> bytes:
        """Everything, as bytes; `restore` gives a state that goes on exactly as this one."""
        from operators.embedding.snapshot import write

        return write(self)

    @classmethod
    def restore(cls, data: bytes, settings: Settings) -> EmbeddingState:
        """The state a snapshot was taken of; raises `operators.state.StateError` on foreign bytes."""
        from operators.embedding.snapshot import read

        return read(cls(settings), data)

    def _distribute(self, vectors: pa.Table, bucket: np.ndarray) -> None:
        """Rows to their groups and buckets."""
        from operators.embedding.group import Group, GroupKey, Rows

        names = identity_fields(self.settings)
        place, combinations = distinct(vectors, ("topic", "side", "embedder_version", *names))
        slices = [slices_of(each, self.settings.slices.sets) for each in combinations]
        column = vectors.column("x").combine_chunks()
        lengths = column.value_lengths().to_numpy()
        dims = vectors.column("dim").to_numpy()
        starts = np.concatenate([[0], np.cumsum(lengths)])
        flat = column.flatten().to_numpy()
        requests = vectors.column("request").to_numpy()
        keys = [
            GroupKey(**{name: each[name] or "" for name in _GROUP_NAMES}, dim=0, width=0)
            for each in combinations
        ]
        origins = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        group_of = np.array([origins[key] for key in keys])[place]
        names_of = list(origins)
        shape = np.stack([group_of, dims, lengths]).astype(np.int64)
        parts, part_of = np.unique(shape, axis=1, return_inverse=True)
        for number in range(parts.shape[1]):
            own = np.flatnonzero(part_of == number)
            origin, dim, width = parts[:, number].tolist()
            key = names_of[origin]._replace(dim=dim, width=width)
            group = self.groups.get(key)
            if group is None:
                group = self.groups[key] = Group(key, self.settings)
            present, cell = np.unique(place[own], return_inverse=True)
            known = {each: i for i, each in enumerate(dict.fromkeys(s for p in present for s in slices[p]))}
            feeds = np.zeros((len(present), len(known)), bool)
            for i, p in enumerate(present):
                feeds[i, [known[each] for each in slices[p]]] = True
            x = flat[starts[own][:, None] + np.arange(width)]
            group.add(Rows(bucket[own], requests[own], x, cell.astype(np.int64), feeds, tuple(known)))

    def _judge(self, now_ms: int) -> Iterator[EmbeddingVerdict]:
        """Verdicts at the end of a detection period; references learn from it, group by group."""
        decision = self._decisions()
        due = [(self.groups[key], self.groups[key].due(now_ms)) for key in sorted(self.groups)]
        for (group, windows), scores in zip(due, decision.score(due), strict=True):
            frozen = {each for side, each, _ in self.frozen if side == group.key.side}
            verdicts, quiet = decision.decide(group, windows, scores, self._references, now_ms, frozen)
            yield from verdicts
            if group.learn(quiet, now_ms):
                decision.recalibrate()

    def _references(self) -> list[Series]:
        """Series that have a reference of their own, in a fixed order."""
        return [series for key in sorted(self.groups) for series in self.groups[key].references()]

    def _decisions(self) -> Decision:
        if self._decision is None:
            from operators.embedding.decision import Decision

            self._decision = Decision(self.settings)
        return self._decision


def _one_each(verdicts: list[EmbeddingVerdict]) -> list[EmbeddingVerdict]:
    """One verdict a series: while two embedder versions are in use, the warm one that says most."""
    best: dict[SeriesKey, EmbeddingVerdict] = {}
    for each in verdicts:
        other = best.get(each.key)
        if other is None or (other.warming, -other.score, -other.n) > (each.warming, -each.score, -each.n):
            best[each.key] = each
    return [best[key] for key in sorted(best)]
