"""All series that share one frozen spec: a service, model, embedder version, dimension and side.

Until enough vectors were seen to fit the spec, rows wait until their bucket closes; from then on they are
folded once there are enough of them for a product, or a bucket closes. The rows that fitted the spec never
serve as reference. Answers whose prompts are embedded too are scored given them: their windows carry the sums
of the prompts of the same buckets and slice.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gpu_scorers import arrays
from gpu_scorers.given import LEAST_PAIRS
from gpu_scorers.reference import LEAST_BUCKETS
from gpu_scorers.scores import SCORERS
from gpu_scorers.spec import Spec
from operators.embedding.sentinels import Near
from operators.embedding.series import LONGEST_MS, SCALES_MS, Series, Window
from operators.series import Slice
from operators.settings import Settings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float16]

#: With at least an eighth of ``fit_rows``, the spec is fitted after so long at the latest.
_PATIENCE_MS = 600_000
#: Windows of its own after which a new series is judged by a relative's scatter.
_BORROWED = 2
#: Live null values kept of each scale.
_NULL_VALUES = 1000
#: New ones join so many at a time, or a twentieth of those there are: curves need no fit for each.
_JOINED = 20
#: A model is built anew when its reference has grown by this factor: a bucket more changes little.
_GROWN = 1.125
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


class Null:
    """Parametric p-values [windows, scorers] of the latest quiet windows of one scale, joined by and by."""

    def __init__(self, scorers: int) -> None:
        self.values: Floats = np.zeros((0, scorers))
        self.new: Floats = self.values
        self.version = 0

    def add(self, p: Floats) -> None:
        """Take those of more windows."""
        self.new = np.concatenate([self.new, p])
        if len(self.new) >= max(_JOINED, len(self.values) // 20):
            self.values = np.concatenate([self.values, self.new])[-_NULL_VALUES:]
            self.new = self.new[:0]
            self.version += 1


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
        self.seen_ms: int | None = None
        self.beyond_cap = 0
        self.near = Near.of_group(key, settings)
        self.null = [Null(len(SCORERS) + len(self.near.names)) for _ in range(1 + len(SCALES_MS))]

    def add(self, rows: Rows) -> None:
        """Take rows of open buckets."""
        self.waiting.append(rows)
        if self.spec is not None and sum(len(each.request) for each in self.waiting) >= _PRODUCT:
            self.fold()

    def take(self, bucket_ms: int, end_ms: int, prompts: "Group | None") -> OpenBucket | None:
        """Take a closed bucket's sums out, or its rows into the fitting sample.

        Args:
            bucket_ms: Its start.
            end_ms: Its end.
            prompts: The other side, where this one holds answers; it has taken this bucket before.
        """
        if self.spec is None:
            self._gather(bucket_ms)
            if self._enough(end_ms) and (prompts is None or prompts.spec is not None or self._waited(end_ms)):
                self._fit(prompts)
        elif len(self.sample_request) and self._waited(end_ms - _PATIENCE_MS):
            self.drop_sample()  # no answers asked for it
        self.fold()
        return self.open.pop(bucket_ms, None)

    def beside(self, bucket: OpenBucket | None) -> dict[Slice, Floats]:
        """Of each slice what answers are scored given."""
        if bucket is None or self.spec is None:
            return {}
        sums = bucket.sums[:, self.spec.layout.regressors]
        return {each: sums[place] for each, place in bucket.places.items()}

    def close(
        self, bucket: OpenBucket | None, prompts: dict[Slice, Floats], bucket_ms: int, end_ms: int
    ) -> None:
        """Move a closed bucket's sums, its prompts' behind them, into the windows of its series."""
        if bucket is None or self.spec is None:
            return
        width = self.spec.layout.width
        whole = np.zeros((len(bucket.sums), self.spec.layout.whole))
        whole[:, :width] = bucket.sums
        counts = bucket.sums[:, 0].tolist()
        for each in sorted(bucket.places, key=lambda s: (-counts[bucket.places[s]], s)):
            place = bucket.places[each]
            series = self.series.get(each)
            if series is None:
                if len(self.series) >= self.settings.slices.cap:
                    self.beyond_cap += int(counts[place])
                    continue
                series = self.series[each] = Series(each)
            if whole.shape[1] > width and each in prompts:
                whole[place, width:] = prompts[each]
            series.window.add(whole[place], bucket_ms, end_ms)
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
            if series.window.n >= (least if old or not series.warm or series.borrowed else enough):
                window = series.window.taken()
                if series.takes(window, lone=self._lacks_prompts(window)):
                    found.append((series, window))
            elif old:
                series.window.taken()
        return found

    def let_go(self, before_ms: int) -> list[Slice]:
        """Forget series that had their last rows before ``before_ms``; returns whose they were."""
        gone = [each for each, series in self.series.items() if series.seen_ms <= before_ms]
        for each in gone:
            del self.series[each]
        return gone

    @property
    def empty(self) -> bool:
        """Whether it has neither series nor rows that may become some."""
        return self.spec is not None and not (self.series or self.open or self.waiting)

    def given_up(self, before_ms: int) -> bool:
        """Whether there never were rows enough to fit it, and the last of them came before ``before_ms``."""
        return (
            self.spec is None and not self.waiting and self.seen_ms is not None and self.seen_ms < before_ms
        )

    def _lacks_prompts(self, window: Window) -> bool:
        """Whether most answers of a window came without prompts, although they usually have some."""
        if self.spec is None or self.spec.given is None:
            return False
        return bool(window.sums[self.spec.layout.width] < window.n / 2)

    def _lend(self, series: Series, now_ms: int) -> None:
        """Cover a new series by the scatter of the relative whose slice has most in common with its own."""
        own = set(series.slice)
        known = [each for each in self.references() if each.lone == series.lone]
        if known:
            series.borrow(max(known, key=lambda each: len(own & set(each.slice)) - len(each.slice)), now_ms)

    @staticmethod
    def spec_of(spec: Spec, series: Series) -> Spec:
        """What a series is scored with."""
        return spec.alone if series.lone else spec

    def references(self) -> list[Series]:
        """Series that have a reference of their own, in a fixed order."""
        every = (self.series[each] for each in sorted(self.series))
        return [series for series in every if series.warm and not series.borrowed]

    def learn(self, quiet: Sequence[tuple[Series, Window]], now_ms: int) -> bool:
        """Offer quiet windows to their series' references; True when a model changed."""
        if self.spec is None:
            return False
        first = self.settings.embeddings.reference_windows
        least = max(LEAST_BUCKETS + 2, first // 2)
        grown: dict[tuple[int, bool], list[Series]] = {}
        for series, window in quiet:
            if series.wants(window, first):
                series.admit(window, first)
                if series.held in _sizes(least, 2 * first):
                    grown.setdefault((len(series.buckets), series.lone), []).append(series)
                elif series.held >= _BORROWED and not series.warm:
                    self._lend(series, now_ms)
        # references of as many buckets are built side by side
        for alike in grown.values():
            spec = self.spec_of(self.spec, alike[0])
            whole = np.stack([np.stack(series.buckets) for series in alike])
            built = arrays.build(spec, whole[..., : spec.layout.whole])
            for series, reference in zip(alike, built, strict=True):
                series.model, series.null = reference.model, reference.null
                series.effective, series.borrowed = reference.effective, False
                if not series.recent.size:
                    series.recent = np.sum(series.buckets, 0)
                    series.recent_ms = now_ms
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
                self.seen_ms = bucket_ms
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
        return self._waited(now_ms) and self.seen >= max(64, wanted // 8)

    def _waited(self, now_ms: int) -> bool:
        return self.first_ms is not None and now_ms - self.first_ms >= _PATIENCE_MS

    def _fit(self, prompts: "Group | None") -> None:
        """Fit the spec; prompts keep their sample until the answers to them are fitted."""
        options = self.settings.embeddings
        x = self.sample_x.astype(np.float32)
        if not np.ptp(x, axis=0).any():
            return  # vectors that are all the same: nothing can be fitted yet
        spec = Spec.fit(x, features=options.features // 2 * 2, clusters=options.clusters, axes=options.axes)
        self.spec = self.near.into(spec, x, self.key.embedder_version)
        if self.key.side == "output":
            if prompts is not None and prompts.spec is not None:
                self._pair(self.spec, prompts, prompts.spec)
                prompts.drop_sample()
            self.drop_sample()

    def _pair(self, spec: Spec, prompts: "Group", theirs: Spec) -> None:
        """Score given the prompts where most answers of the sample have one."""
        ours, others = (
            {int(request): place for place, request in enumerate(group.sample_request)}
            for group in (self, prompts)
        )
        both = sorted(ours.keys() & others.keys())
        if len(both) < max(LEAST_PAIRS, len(ours) // 2):
            return
        answers = self.sample_x[[ours[request] for request in both]].astype(np.float32)
        asked = prompts.sample_x[[others[request] for request in both]].astype(np.float32)
        self.spec = spec.with_prompts(answers, theirs, asked)

    def drop_sample(self) -> None:
        """The spec is fitted, and so is what needed its sample."""
        self.sample_request = self.sample_request[:0]
        self.sample_x = self.sample_x[:0]


@cache
def _sizes(least: int, most: int) -> frozenset[int]:
    """Windows in a reference when its model is built, from the least to the most of them."""
    sizes = [least]
    while sizes[-1] < most:
        sizes.append(min(math.ceil(sizes[-1] * _GROWN), most))
    return frozenset(sizes)
