"""All series that share one frozen spec: a service, model, embedder version, dimension and side.

Until enough vectors were seen to fit the spec, rows wait until their bucket closes; from then on they are
folded once there are enough of them for a product, or a bucket closes. The rows that fitted the spec never
serve as reference.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gpu_scorers import arrays
from gpu_scorers.reference import LEAST_BUCKETS
from gpu_scorers.spec import Spec
from operators.embedding.series import LONGEST_MS, Series, Window
from operators.embedding.slices import Slice
from operators.settings import Settings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float16]

#: With at least an eighth of ``fit_rows``, the spec is fitted after so long at the latest.
_PATIENCE_MS = 600_000
#: Rows that are folded without waiting for more: a product of few costs as much as one of so many.
_PRODUCT = 256


class GroupKey(NamedTuple):
    """What a spec is fitted for; ``dim`` is the vectors' own dimension, ``width`` their projection's."""

    topic: str
    side: str
    embedder_version: str
    service: str
    request_model: str
    dim: int
    width: int


class Rows(NamedTuple):
    """Projected rows: their buckets, request hashes and vectors [rows, width], and the slices each row feeds.

    ``cell`` [rows] is a row's combination of slices, ``feeds`` [cells, slices] says which of ``slices`` it is
    in: a row is folded once, into its cell, and cells are added to slices.
    """

    bucket: Ints
    request: npt.NDArray[np.uint64]
    x: Vectors
    cell: Ints
    feeds: npt.NDArray[np.bool_]
    slices: tuple[Slice, ...]

    def only(self, some: npt.NDArray[np.bool_]) -> "Rows":
        """The rows of a mask [rows]."""
        return self._replace(
            bucket=self.bucket[some], request=self.request[some], x=self.x[some], cell=self.cell[some]
        )


class OpenBucket:
    """Sketches of one open bucket, one line for each slice that had rows."""

    def __init__(self, width: int) -> None:
        self.places: dict[Slice, int] = {}
        self.sums: Floats = np.zeros((0, width))

    def lines(self, slices: Sequence[Slice]) -> Ints:
        """Line of each slice; new slices get one."""
        for each in slices:
            self.places.setdefault(each, len(self.places))
        missing = len(self.places) - len(self.sums)
        if missing:
            self.sums = np.concatenate([self.sums, np.zeros((missing, self.sums.shape[1]))])
        return np.array([self.places[each] for each in slices], np.int64)


class Group:
    """Sketches and series of one spec."""

    def __init__(self, key: GroupKey, settings: Settings) -> None:
        self.key = key
        self.settings = settings
        self.spec: Spec | None = None
        self.series: dict[Slice, Series] = {}
        self.open: dict[int, OpenBucket] = {}
        self.waiting: list[Rows] = []
        self.sample_request: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)
        self.sample_x: Vectors = np.zeros((0, key.width), np.float16)
        self.seen = 0
        self.first_ms: int | None = None
        self.beyond_cap = 0

    def add(self, rows: Rows) -> None:
        """Take rows of open buckets."""
        self.waiting.append(rows)
        if self.spec is not None and sum(len(each.request) for each in self.waiting) >= _PRODUCT:
            self.fold()

    def close(self, bucket_ms: int, end_ms: int) -> None:
        """Move a closed bucket's sums into the windows of its series, or its rows into the fitting sample."""
        if self.spec is None:
            self._gather(bucket_ms)
            if self._enough(end_ms):
                self._fit()
        self.fold()
        bucket = self.open.pop(bucket_ms, None)
        if bucket is None:
            return
        for each in sorted(bucket.places, key=lambda s: (-bucket.sums[bucket.places[s], 0], s)):
            series = self.series.get(each)
            if series is None:
                if len(self.series) >= self.settings.slices.cap:
                    self.beyond_cap += int(bucket.sums[bucket.places[each], 0])
                    continue
                series = self.series[each] = Series(each)
            series.window.add(bucket.sums[bucket.places[each]], bucket_ms, end_ms)
            series.seen_ms = end_ms

    def due(self, now_ms: int) -> list[tuple[Series, Window]]:
        """Windows with enough vectors, in a fixed order; those that stay thin for long are forgotten."""
        enough = self.settings.embeddings.window_rows
        found = []
        for each in sorted(self.series):
            series = self.series[each]
            if series.window.parts == 0:
                continue
            old = now_ms - series.window.start_ms >= LONGEST_MS
            # a reference of small buckets is there sooner, and says as much about larger windows
            least = max(16, enough // 4)
            if series.window.n >= (least if old or not series.warm else enough):
                found.append((series, series.window.taken()))
            elif old:
                series.window.taken()
        return found

    def references(self) -> list[Series]:
        """Series that have a reference, in a fixed order."""
        return [self.series[each] for each in sorted(self.series) if self.series[each].warm]

    def learn(self, quiet: Sequence[tuple[Series, Window]]) -> bool:
        """Offer quiet windows to their series' references; True when a model changed."""
        if self.spec is None:
            return False
        first = self.settings.embeddings.reference_windows
        least = max(LEAST_BUCKETS + 2, first // 2)
        grown: dict[int, list[Series]] = {}
        for series, window in quiet:
            if series.wants(window, first):
                series.admit(window, first)
                if series.held >= least:
                    grown.setdefault(len(series.buckets), []).append(series)
        # references of as many buckets are built side by side
        for alike in grown.values():
            built = arrays.build(self.spec, np.stack([np.stack(series.buckets) for series in alike]))
            for series, reference in zip(alike, built, strict=True):
                series.model, series.null = reference.model, reference.null
                series.effective = reference.effective
                if series.held >= 2 * first:
                    series.buckets = []
        return bool(grown)

    def fold(self) -> None:
        """Fold what waits, once there is a spec to fold it with."""
        if self.spec is None:
            return
        waiting, self.waiting = self.waiting, []
        for rows in waiting:
            self._fold(self.spec, rows)

    def _fold(self, spec: Spec, rows: Rows) -> None:
        kinds = len(rows.feeds)
        place, cell = np.unique(rows.bucket * kinds + rows.cell, return_inverse=True)
        cells = np.zeros((len(place), spec.layout.width))
        arrays.fold(spec, cells, rows.x, cell)
        buckets, starts = np.unique(place // kinds, return_index=True)
        for bucket_ms, start, end in zip(buckets.tolist(), starts, [*starts[1:], len(place)], strict=True):
            fed = rows.feeds[place[start:end] % kinds]
            met = np.flatnonzero(fed.any(0))
            bucket = self.open.setdefault(bucket_ms, OpenBucket(spec.layout.width))
            lines = bucket.lines([rows.slices[each] for each in met])
            # whole numbers: a product adds them up exactly
            bucket.sums[lines] += fed[:, met].T.astype(np.float64) @ cells[start:end]

    def _gather(self, bucket_ms: int) -> None:
        """Rows of a closed bucket into the sample."""
        left = []
        for rows in self.waiting:
            mine = rows.bucket == bucket_ms
            if mine.any():
                self._sample(rows.only(mine))
                self.first_ms = bucket_ms if self.first_ms is None else self.first_ms
                rows = rows.only(~mine)
            if len(rows.request):
                left.append(rows)
        self.waiting = left

    def _sample(self, rows: Rows) -> None:
        """Keep the rows with the smallest request hashes: any order of arrival keeps the same."""
        self.seen += len(rows.request)
        request = np.concatenate([self.sample_request, rows.request])
        x = np.concatenate([self.sample_x, rows.x])
        # vectors that share a request id are told apart by their own bytes
        order = np.lexsort((*x.T[:4], request))[: self.settings.embeddings.fit_rows]
        self.sample_request, self.sample_x = request[order], x[order]

    def _enough(self, now_ms: int) -> bool:
        wanted = self.settings.embeddings.fit_rows
        if self.seen >= wanted:
            return True
        waited = self.first_ms is not None and now_ms - self.first_ms >= _PATIENCE_MS
        return waited and self.seen >= max(64, wanted // 8)

    def _fit(self) -> None:
        """Fit the spec and drop the sample."""
        options = self.settings.embeddings
        x = self.sample_x.astype(np.float32)
        if not np.ptp(x, axis=0).any():
            return  # vectors that are all the same: nothing can be fitted yet
        self.spec = Spec.fit(
            x, features=options.features // 2 * 2, clusters=options.clusters, axes=options.axes
        )
        self.sample_request = self.sample_request[:0]
        self.sample_x = self.sample_x[:0]
