"""All series that share one frozen spec: a service, model, embedder version, dimension and side.

Until enough vectors were seen to fit the spec, rows are kept by bucket; from then on they are folded as they
arrive and never kept. The rows that fitted it never serve as reference.
"""

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
    """Projected rows: request hashes and vectors [rows, width], and the slices each row feeds.

    ``cell`` [rows] is a row's combination of slices, ``feeds`` [cells, sets] its places in ``slices``,
    -1 for none: a row is folded once, into its cell, and cells are added to slices.
    """

    request: npt.NDArray[np.uint64]
    x: Vectors
    cell: Ints
    feeds: Ints
    slices: tuple[Slice, ...]


class OpenBucket:
    """Sketches of one open bucket, one line for each slice that had rows."""

    def __init__(self, width: int) -> None:
        self.places: dict[Slice, int] = {}
        self.sums: Floats = np.zeros((0, width))

    def lines(self, slices: tuple[Slice, ...]) -> Ints:
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
        self.warming: dict[int, list[Rows]] = {}
        self.sample_request: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)
        self.sample_x: Vectors = np.zeros((0, key.width), np.float16)
        self.seen = 0
        self.first_ms: int | None = None
        self.beyond_cap = 0

    def add(self, bucket_ms: int, rows: Rows) -> None:
        """Take rows of an open bucket."""
        if self.spec is None:
            self.warming.setdefault(bucket_ms, []).append(rows)
        else:
            self._fold(self.spec, bucket_ms, rows)

    def close(self, bucket_ms: int, end_ms: int) -> None:
        """Move a closed bucket's sums into the windows of its series, or its rows into the fitting sample."""
        for rows in self.warming.pop(bucket_ms, []):
            self._sample(rows)
            self.first_ms = bucket_ms if self.first_ms is None else self.first_ms
        if self.spec is None and self._enough(end_ms):
            self._fit()
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

    def learn(self, series: Series, window: Window) -> bool:
        """Offer a quiet window to a series' reference; True when its model changed."""
        first = self.settings.embeddings.reference_windows
        if self.spec is None or not series.wants(window, first):
            return False
        series.admit(window, first)
        least = max(LEAST_BUCKETS + 2, first // 2)
        if series.held < least:
            return False
        built = arrays.build(self.spec, np.stack(series.buckets))
        series.model, series.null, series.effective = built.model, built.null, built.effective
        if series.held >= 2 * first:
            series.buckets = []
        return True

    def _fold(self, spec: Spec, bucket_ms: int, rows: Rows) -> None:
        bucket = self.open.setdefault(bucket_ms, OpenBucket(spec.layout.width))
        lines = bucket.lines(rows.slices)
        cells = np.zeros((len(rows.feeds), spec.layout.width))
        arrays.fold(spec, cells, rows.x, rows.cell)
        for sums, feeds in zip(cells, rows.feeds, strict=True):
            bucket.sums[lines[feeds[feeds >= 0]]] += sums

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
        """Fit the spec, drop the sample, and fold the rows of buckets that are still open."""
        options = self.settings.embeddings
        x = self.sample_x.astype(np.float32)
        if not np.ptp(x, axis=0).any():
            return  # vectors that are all the same: nothing can be fitted yet
        self.spec = Spec.fit(
            x, features=options.features // 2 * 2, clusters=options.clusters, axes=options.axes
        )
        self.sample_request = self.sample_request[:0]
        self.sample_x = self.sample_x[:0]
        waiting, self.warming = self.warming, {}
        for bucket_ms, parts in waiting.items():
            for rows in parts:
                self._fold(self.spec, bucket_ms, rows)
