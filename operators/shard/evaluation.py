"""A closed window to event revisions: statistics, the bank's verdicts, absences, lifecycle."""

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from operators.cells import cell_fields
from operators.detection import Bank, Verdicts, WindowValues
from operators.lifecycle import Finding, Lifecycle
from operators.lifecycle.episodes import Suppress
from operators.series import SeriesKey, Slice
from operators.settings import Settings
from operators.shard import absence
from operators.shard.catalogue import Base, Catalogue
from operators.shard.occurrences import occurrences
from operators.shard.presence import Presence
from operators.shard.replicas import shortfalls
from operators.shard.sketches import Hashes, Ints, Sketches, concat
from operators.shard.slices import MEASURE
from operators.shard.statistics import Form, Values, compute
from schemas.outputs import AnomalyEvent, AnomalyWindow, CalibrationSource

_CALIBRATION: tuple[CalibrationSource, ...] = ("empirical", "extrapolated", "prior")

#: Windows of a part's absence that its whole vouches for.
_REMEMBERED = 240

#: Windows after which a change that is meant has settled, and how long what it does may still appear (ms).
_SETTLED, _FOLLOWS_MS = 5, 3_600_000

Told = tuple[list[AnomalyEvent], list[AnomalyWindow]]

#: Whether a slice was to change in [since, until), Unix ms.
Meant = Callable[[Slice, int, int], bool]


class Evaluation:
    """The scalar series of a shard: catalogue, bank, absence; and the lifecycle of all its episodes."""

    def __init__(self, settings: Settings) -> None:
        windows = settings.windows
        self.window_ms = windows.detect_s * 1000
        self.catalogue = Catalogue(cell_fields(settings.slices))
        self.bank = Bank(settings.detection, windows.detect_s)
        self.presence = Presence(windows.detect_s)
        self.lifecycle = Lifecycle(settings.lifecycle, windows.lateness_s * 1000, settings.config_hash())
        self._rows: dict[SeriesKey, int] = {}
        self._fresh: set[int] = set()

    def unknown(self, keys: Hashes) -> Ints:
        """Places of the first row of each base that is not known yet."""
        _, first = np.unique(keys, return_index=True)
        return first[self.catalogue.find(keys[first]) < 0]

    def enter(
        self, time_ms: int, keys: Hashes, codes: dict[str, Ints], values: dict[str, tuple[str, ...]]
    ) -> None:
        """Enter new bases into catalogue and bank (arguments as for `Catalogue.add`)."""
        places, series = self.catalogue.add(keys, codes, values)
        self.catalogue.assign(places, self.bank.add(series, time_ms))
        self.presence.grow(len(self.catalogue))
        self._fresh.update(places.tolist())

    def close(self, start: int, rows: Sketches, suppress: Suppress, meant: Meant, *, whole: bool) -> Told:
        """Judge one closed window.

        Args:
            start: of the window, Unix ms.
            rows: its sketches, all of them entered.
            suppress: which changes hold a slice's alarms down.
            meant: whether a slice was to change, see `Changes.meant`.
            whole: whether the pipeline's data cover it from its start.
        """
        end = start + self.window_ms
        index, values = self._measured(start, rows, whole)
        findings, gone = absence.findings(self.presence, self.catalogue)
        findings += shortfalls(self.presence, self.catalogue, index, values.value[:, 0])
        rate, times = values.value[:, 0], values.samples[:, 0]
        findings += occurrences(self.catalogue, index, rate, times, self.lifecycle.episodes)
        findings += self._judge(start, index, values, meant)
        told = self.lifecycle.step(start, end, findings, suppress)
        told[0].extend(self.lifecycle.close(self._open_of(gone), end))
        self.lifecycle.forget(end)
        return told

    def ended(self, windows: int) -> set[Slice]:
        """Slices of which nothing was reported for more than ``windows``, see `Presence.ended`."""
        ended, bases = self.presence.ended(windows), self.catalogue.bases
        if not ended.any():
            return set()
        alive = {bases[place].slice for place in np.flatnonzero(~ended).tolist()}
        return {base.slice for base in bases} - alive

    def let_go(self, gone: set[Slice], end: int) -> list[AnomalyEvent]:
        """Forget all that is kept of these slices, between two windows; ``end`` (Unix ms) of the last one.

        Returns:
            Last revisions of their open episodes.
        """
        known = self.catalogue
        ended = self._open_of(base for base in known.bases if base.slice in gone)
        events = self.lifecycle.let_go(ended, end)
        places = np.array([at for at, base in enumerate(known.bases) if base.slice not in gone], np.int64)
        rows = known.rows[places]
        kept = np.unique(rows[rows >= 0])
        self.bank.keep(kept)
        self.presence.keep(places)
        self.catalogue = Catalogue(known.columns[len(MEASURE) :])
        self.catalogue.restore_bases([known.bases[place] for place in places.tolist()], known.keys[places])
        self.catalogue.rows = np.where(rows >= 0, np.searchsorted(kept, rows), -1)
        self._rows.clear()
        return events

    def learn(self, start: int, rows: Sketches) -> None:
        """Learn from a window of the past; nothing is told of it (see `close`)."""
        index, values = self._measured(start, rows, whole=True)
        self.bank.step(start, *self._given(index, values))

    def begin(self) -> None:
        """After `learn`: what was there in the past is not missed until it is seen again."""
        self.presence = Presence(self.window_ms / 1000.0)
        self.presence.grow(len(self.catalogue))
        self.presence.gone[:] = True

    def _measured(self, start: int, rows: Sketches, whole: bool) -> tuple[Ints, Values]:
        """Bases and statistics of a window."""
        index = self.catalogue.find(rows.key)
        self.presence.observe(index, np.maximum(rows.count, 1).astype(np.float64))
        index, rows = self._filled(index, rows)
        values = self._values(index, rows)
        self._remember(start)
        self._mask(index, values, whole)
        return index, values

    def _filled(self, index: Ints, rows: Sketches) -> tuple[Ints, Sketches]:
        """Add what did not occur but is known to be zero: counts of living series, parts of living wholes."""
        catalogue = self.catalogue
        present = np.zeros(len(catalogue) + 1, bool)
        present[index] = True
        stands = present[catalogue.whole]
        zero = stands | (catalogue.counted & ~self.presence.missing())
        zero &= ~present[:-1] & (catalogue.form != Form.NONE)
        zero &= stands | catalogue.counted
        absent = np.flatnonzero(zero)
        if not len(absent):
            return index, rows
        none = np.zeros(len(absent), np.int64)
        unknown, no_bin = np.full(len(absent), np.nan), np.zeros(0, np.int64)
        spans = np.where(catalogue.counted[absent], self.window_ms, 0)
        zeros = Sketches(catalogue.keys[absent], none, none, spans, unknown, unknown, no_bin, no_bin, no_bin)
        return np.concatenate([index, absent]), concat([rows, zeros])

    def _values(self, index: Ints, rows: Sketches) -> Values:
        counts = np.full(len(self.catalogue) + 1, np.nan)
        counts[index] = rows.count
        counts[-1] = np.nan
        trials = counts[self.catalogue.whole[index]]
        form, step = self.catalogue.form[index], self.catalogue.step[index]
        return compute(rows, form, step, trials, self.window_ms / 1000.0)

    def _remember(self, start: int) -> None:
        """Give parts that occur for the first time the history they have: none, for as long as their whole.

        A script or finish reason never seen before would else warm up on the very fault that brought it.
        """
        fresh = np.array(sorted(self._fresh), np.int64)
        if not len(fresh):
            return
        catalogue = self.catalogue
        parts = fresh[(catalogue.form[fresh] == Form.SHARE) & (catalogue.whole[fresh] != fresh)]
        whole = catalogue.whole[parts]
        ages = np.minimum(self.presence.seen[whole] - 1, _REMEMBERED)
        trials = np.maximum(np.round(self.presence.rate[whole] * self.window_ms / 1000.0), 1.0)
        rows = catalogue.rows[parts, 0]
        order = np.argsort(rows)
        rows, ages, trials = rows[order], ages[order], trials[order]
        # those of one age and all older ones live through the same windows
        for until, since in reversed(list(pairwise([0, *np.unique(ages[ages > 0]).astype(int).tolist()]))):
            some = ages >= since
            none = np.zeros(int(some.sum()))
            times = [start - back * self.window_ms for back in range(since, until, -1)]
            self.bank.rehearse(times, rows[some], WindowValues(none, trials[some], none, none))

    def _mask(self, index: Ints, values: Values, whole: bool) -> None:
        """A rate over a window that was covered in part only is none."""
        form = self.catalogue.form[index]
        rates = (form == Form.RATE) | (form == Form.COMPLETED)
        partly = rates & (np.isin(index, list(self._fresh)) | (not whole))
        values.value[partly] = np.nan
        self._fresh.clear()

    def _given(self, index: Ints, values: Values) -> tuple[Ints, WindowValues]:
        """Bank rows that have a value, in their order, and those values."""
        rows = self.catalogue.rows[index]
        given = (rows >= 0) & np.isfinite(values.value)
        row = rows[given]
        order = np.argsort(row)
        window = WindowValues(
            *(part[given][order] for part in (values.value, values.samples, values.hits, values.resolution))
        )
        return row[order], window

    def _judge(self, start: int, index: Ints, values: Values, meant: Meant) -> list[Finding]:
        row, window = self._given(index, values)
        verdicts = self.bank.step(start, row, window)
        told = np.asarray(verdicts.alarm, bool).copy()
        self._accept(start, row[told], meant)
        open_rows = [self._row_of(key) for source, key in self.lifecycle.episodes if source == "bank"]
        if open_rows and len(row):
            told |= np.isin(row, open_rows)
        places = np.flatnonzero(told)
        usual = self.bank.usual_samples(row[places]).tolist()
        return [
            _finding(self.bank, row, place, window, verdicts, of_late)
            for place, of_late in zip(places.tolist(), usual, strict=True)
        ]

    def _accept(self, start: int, rows: Ints, meant: Meant) -> None:
        """Take what follows from a change that was announced for the new normal, once it has settled."""
        since, until = start - _FOLLOWS_MS, start - _SETTLED * self.window_ms
        due = [row for row in rows.tolist() if meant(self.bank.keys[row].slice, since, until)]
        if due:
            self.bank.accept(np.array(due, np.int64), _SETTLED)

    def _row_of(self, key: SeriesKey) -> int:
        if len(self._rows) < len(self.bank.keys):
            for row in range(len(self._rows), len(self.bank.keys)):
                self._rows[self.bank.keys[row]] = row
        return self._rows[key]

    def _open_of(self, gone: Iterable[Base]) -> list[tuple[Any, SeriesKey]]:
        """Episodes of bases that are gone for good."""
        series = {key for base in gone for key in base.series()}
        return [place for place in self.lifecycle.episodes if place[1] in series]

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Plain values and arrays, for the state codec."""
        bases, known = self.catalogue.snapshot()
        values = {
            "bases": bases,
            "window": self.presence.window,
            "fresh": sorted(self._fresh),
            "episodes": self.lifecycle.snapshot(),
        }
        arrays = {f"catalogue.{name}": array for name, array in known.items()}
        arrays |= {f"absence.{name}": array for name, array in self.presence.arrays().items()}
        arrays |= {f"bank.{name}": array for name, array in self.bank.arrays().items()}
        return values, arrays

    def restore(self, values: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.catalogue.restore(values["bases"], _part(arrays, "catalogue."))
        self.presence.load(values["window"], _part(arrays, "absence."))
        self.lifecycle.restore(values["episodes"])
        self._fresh = set(values["fresh"])
        keys: dict[int, SeriesKey] = {}
        for base, rows in zip(self.catalogue.bases, self.catalogue.rows.tolist(), strict=True):
            keys |= dict(zip(rows, base.series(), strict=False))
        self.bank.load(_part(arrays, "bank."), [keys[row] for row in sorted(keys) if row >= 0])


def _part(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _finding(
    bank: Bank, rows: Ints, place: int, window: WindowValues, verdicts: Verdicts, usual: float
) -> Finding:
    samples = float(window.samples[place])
    return Finding(
        "bank",
        bank.keys[rows[place]],
        bank.detector_ids[int(verdicts.detector[place])],
        alarm=bool(verdicts.alarm[place]),
        score=float(verdicts.score[place]),
        threshold=float(np.broadcast_to(verdicts.threshold, rows.shape)[place]),
        p_value=float(verdicts.p_value[place]),
        observed=float(window.value[place]),
        expected=float(verdicts.expected[place]),
        low=float(verdicts.low[place]),
        high=float(verdicts.high[place]),
        samples=int(samples) if np.isfinite(samples) else 0,
        direction=int(verdicts.direction[place]),
        calibration=_CALIBRATION[int(verdicts.calibration[place])],
        usual=usual or math.nan,
        warming=bool(verdicts.warming[place]),
    )
