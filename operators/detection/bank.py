"""The bank: every (series, statistic) of a shard judged in lock-step, window by window.

A window goes transform -> prediction -> detectors' statistics -> event rates -> one rate a row -> alarm, and only
then is learnt from, by how ordinary it was.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.columns import Columns, Field, Rows
from operators.detection import baseline, budget, granularity, season, transform
from operators.detection.baseline import WARM_UP
from operators.detection.tails import Fit, Tails
from operators.detectors import DEFAULT, REGISTRY
from operators.detectors.channel import Detector, Floats, Window
from operators.series import SeriesKey, fingerprint
from operators.settings import Detection

#: Rows handled at once: their state stays in the processor's cache.
BLOCK = 2048
#: Event rate below which nothing is learnt, and windows after which a lasting change is the new normal.
FREEZE = 1 / 3000.0
ACCEPT = 72.0

_FIELDS = (Field("frozen"), Field("calm"))

EMPIRICAL, EXTRAPOLATED, PRIOR = 0, 1, 2


@dataclass(slots=True)
class WindowValues:
    """One closed window of n rows: ``value`` (NaN = missing), ``samples`` behind it, ``hits`` of ratios of trials
    (else NaN), ``resolution``: the step values come in, or 0; all [n].
    """

    value: NDArray[np.float64]
    samples: NDArray[np.float64]
    hits: NDArray[np.float64]
    resolution: NDArray[np.float64]

    @classmethod
    def plain(cls, value: NDArray[np.float64]) -> "WindowValues":
        """Values of which nothing more is known."""
        unknown = np.full(len(value), np.nan)
        return cls(value, unknown, unknown, np.zeros(len(value)))

    def part(self, rows: slice) -> "WindowValues":
        """The values of some rows."""
        return WindowValues(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(slots=True)
class Verdicts:
    """What the bank says of one window of n rows, all [n].

    ``score``: -log10 of the event rate, higher is more anomalous, comparable across series; ``p_value``: the event
    rate (events a window at least this odd), in (0, 1]; ``detector``: index into `Bank.detector_ids` of the leading
    one; ``expected``, ``low``, ``high``: the band within the budget, in the value's unit; ``direction``: +1 above
    what was expected, -1 below; ``calibration``: 0 empirical, 1 extrapolated, 2 prior; ``threshold``: the score at
    which a row alarms.
    """

    score: NDArray[np.float64]
    p_value: NDArray[np.float64]
    alarm: NDArray[np.bool_]
    detector: NDArray[np.int16]
    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    direction: NDArray[np.int8]
    calibration: NDArray[np.int8]
    warming: NDArray[np.bool_]
    threshold: NDArray[np.float64]

    @classmethod
    def join(cls, parts: "Sequence[Verdicts]") -> "Verdicts":
        """Verdicts of consecutive blocks as one."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class Bank:
    """Rows = series x statistic of one shard.

    Args:
        settings: which detectors run, and the budget.
        period_s: length of a window, s.
    """

    def __init__(self, settings: Detection, period_s: float) -> None:
        self.settings = settings
        self.period_s = float(period_s)
        self.keys: list[SeriesKey] = []
        chosen = settings.detectors or DEFAULT
        wanted = dict.fromkeys(chosen) | dict.fromkeys(i for ids in settings.per_signal.values() for i in ids)
        self.detector_ids = tuple(wanted)
        self._detectors: list[Detector] = [REGISTRY[name]() for name in self.detector_ids]
        self._channels = [c for d in self._detectors if not d.rates for c in d.channels]
        self._leads = np.array(
            [i for i, d in enumerate(self._detectors) for _ in d.channels if not d.rates]
            + [i for i, d in enumerate(self._detectors) for _ in d.channels if d.rates],
            np.int16,
        )
        self._sides = np.array(
            [c.direction for c in self._channels]
            + [c.direction for d in self._detectors if d.rates for c in d.channels],
            np.int8,
        )
        self._after = np.array([[c.after] for c in self._channels], "f4")
        self._daily = np.array([[c.full_day] for c in self._channels])
        self._day = min(86_400 / self.period_s, 400.0)
        self._tails = Tails(self._channels)
        self._budget = budget.Budget(settings.alarm_budget.per_series_days * 86_400 / self.period_s)
        self._groups = {name: i + 1 for i, name in enumerate(settings.per_signal)}
        self._shares = np.stack([self._share(ids) for ids in (chosen, *settings.per_signal.values())], axis=1)
        own = [field for detector in self._detectors for field in detector.fields]
        self._columns = Columns(
            (
                *baseline.FIELDS,
                *transform.FIELDS,
                *granularity.FIELDS,
                *budget.FIELDS,
                *_FIELDS,
                *own,
                *self._tails.fields,
            )
            + (Field("group", 1, "i2"),)
        )

    def _share(self, ids: Sequence[str]) -> NDArray[np.float32]:
        on = [
            channel.weight * (detector.id in ids)
            for detector in self._detectors
            for channel in detector.channels
            if not detector.rates
        ]
        return np.array(on, "f4") / max(sum(on), 1e-9)

    @property
    def bytes_per_row(self) -> int:
        """Bytes of state one row takes."""
        return self._columns.bytes_per_row

    def add(self, keys: Sequence[SeriesKey], time_ms: int) -> NDArray[np.int64]:
        """Add rows, which start warming at ``time_ms``; returns their indices."""
        rows = self._columns.add(len(keys))
        self.keys.extend(keys)
        new = self._columns.take(slice(int(rows[0]), int(rows[-1]) + 1)) if len(rows) else {}
        if new:
            new["seed"][...] = [int(fingerprint(key, "")[:8], 16) for key in keys]
            new["group"][...] = [self._groups.get(key.signal, 0) for key in keys]
            self._tails.start_rows(new, np.arange(len(rows)))
        return rows

    def restart(self, rows: NDArray[np.int64]) -> None:
        """Make ``rows`` as if they had just been added: what they measure has changed."""
        fresh = Columns(self._columns.fields)
        fresh.add(len(rows))
        state = {name: values.copy() for name, values in fresh.take(slice(0, len(rows))).items()}
        old = self._columns.take(rows)
        for name in ("seed", "group"):
            state[name] = old[name]
        self._tails.start_rows(state, np.arange(len(rows)))
        self._columns.put(rows, state)

    def step(
        self, time_ms: "int | NDArray[np.int64]", rows: NDArray[np.int64], window: WindowValues
    ) -> Verdicts:
        """Judge one closed window and learn from it.

        Args:
            time_ms: start of the window, Unix ms; one for all, or one a row.
            rows: row indices, [n], each at most once.
            window: their values.
        """
        parts = []
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            for first in range(0, len(rows), BLOCK):
                part = slice(first, min(first + BLOCK, len(rows)))
                some = rows[part]
                run = some[-1] - some[0] + 1 == len(some) and bool(np.all(np.diff(some) == 1))
                state = self._columns.take(slice(int(some[0]), int(some[-1]) + 1) if run else some)
                times = time_ms if isinstance(time_ms, int) else time_ms[part]
                parts.append(self._judge(state, times / 1000.0, window.part(part)))
                if not run:
                    self._columns.put(some, state)
        return Verdicts.join(parts) if parts else _none()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All state but `keys`, for the state codec."""
        return self._columns.arrays()

    def load(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Replace all rows' state; the caller sets `keys` to go with it."""
        self._columns.load(arrays)

    def _judge(self, state: Rows, time_s: float | Floats, window: WindowValues) -> Verdicts:
        given = ~np.isnan(window.value)
        young = state["n"] < WARM_UP
        active = given & ~young
        self._remember(state, window, given)
        at = season.look_up(state, time_s)
        raw = np.where(active, window.value, 0.0)
        motion = granularity.watch(state, raw, active)
        coarse = (state["repeats"] > 0.1 * state["n"]) & np.isfinite(state["least_move"])
        spread = raw
        if coarse.any():
            spread = raw + np.where(coarse, state["least_move"], 0.0) * transform.noise(state, time_s)
        y = np.where(active, transform.forward(spread, state["root"]), state["level"])
        seen, features = baseline.predict(state, window.value, y, active, at, motion)
        statistic = np.concatenate([d.observe(state, seen) for d in self._detectors if not d.rates])
        fit = self._tails.fit(state)
        rates = fit.rate(statistic) / np.maximum(self._shares[:, state["group"]], 1e-9)
        n = state["n"]
        rates[(n < self._after) | (self._daily & (n < self._day)) | ~active] = 1.0
        own = [d.observe(state, seen) for d in self._detectors if d.rates]
        rates = np.concatenate([rates, *own])
        lead = rates.argmin(0)
        rate = _bounded(np.minimum(rates[lead, np.arange(len(lead))], 1.0), n)
        rate = np.where(active, rate, 1.0)
        alarm = self._budget.decide(state, rate, active)
        verdicts = self._verdicts(state, seen, fit, rate, alarm, lead, young)
        self._learn(state, seen, features, at, fit, statistic, rate)
        return verdicts

    def _remember(self, state: Rows, window: WindowValues, given: NDArray[np.bool_]) -> None:
        """Count the window; start rows whose warm-up it ends."""
        n = state["n"]
        some = np.flatnonzero(given)
        state["recent"][n[some].astype(np.int64) % WARM_UP, some] = window.value[some]
        n += given
        np.maximum(state["floor"], window.resolution * 0.29, out=state["floor"])
        ready = np.flatnonzero(given & (n == WARM_UP))
        if ready.size:
            transform.choose(state, ready)
            self._restart(state, ready)
            state["season_unit"][ready] = np.sqrt(state["var"][ready])

    def _restart(self, state: Rows, rows: NDArray[np.int64]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            ring = state["recent"][:, rows]
            state["recent"][:, rows] = transform.forward(ring, state["root"][rows])
            scale = baseline.restart(state, rows)
            state["recent"][:, rows] = ring
        for detector in self._detectors:
            detector.start(state, rows, scale)

    def _learn(
        self,
        state: Rows,
        seen: Window,
        features: Floats,
        at: season.Season,
        fit: Fit,
        statistic: Floats,
        rate: Floats,
    ) -> None:
        active, frozen, calm = seen.active, state["frozen"], state["calm"]
        calm[...] = np.where(seen.scratch.get("fast", np.abs(seen.z)) < 1.2, calm + active, 0)
        over = np.flatnonzero((calm >= 8) & (frozen > 0))
        if over.size:
            for detector in self._detectors:
                detector.settle(state, over)
            frozen[over] = 0
        hot = active & (rate < FREEZE)
        frozen[...] = np.where(hot, frozen + 1, np.maximum(frozen - 2, 0))
        accepted = frozen > ACCEPT
        seen.learn = (active & (~hot | accepted)).astype("f4")
        self._tails.learn(state, statistic, fit, active, hot & (frozen > 5))
        for detector in self._detectors:
            detector.learn(state, seen)
        baseline.learn(state, seen, features, at, self.period_s)
        if accepted.any():
            self._accept(state, np.flatnonzero(accepted))

    def _accept(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """Take the state of the last windows for the new normal."""
        self._restart(state, rows)
        state["bias"][rows] = 0.0
        state["frozen"][rows] = 0.0
        for detector in self._detectors:
            detector.settle(state, rows)

    def _verdicts(
        self,
        state: Rows,
        seen: Window,
        fit: Fit,
        rate: Floats,
        alarm: NDArray[np.bool_],
        lead: NDArray[np.int64],
        young: NDArray[np.bool_],
    ) -> Verdicts:
        allowed = 1.0 / (self._budget.windows * self._budget.factor(state))
        half = seen.sd * fit.level(allowed * self._shares[0, 0], 0)
        root = state["root"]
        n = state["n"]
        reach = n * allowed
        side = self._sides[lead]
        return Verdicts(
            score=-np.log10(rate) + 0.0,
            p_value=np.asarray(rate, "f8"),
            alarm=alarm,
            detector=self._leads[lead],
            expected=transform.backward(seen.predicted, root),
            low=transform.backward(seen.predicted - half, root),
            high=transform.backward(seen.predicted + half, root),
            direction=np.where(side == 0, np.sign(seen.z).astype(np.int8), side),
            calibration=np.where(reach >= 1, EMPIRICAL, np.where(n >= 500, EXTRAPOLATED, PRIOR)).astype(
                np.int8
            ),
            warming=young,
            threshold=-np.log10(allowed),
        )


def _bounded(rate: Floats, n: Floats) -> Floats:
    """No claim far beyond the history seen: below (n + 1)^-1.5 the excess, in logs, is halved."""
    reach = (n + 1.0) ** -1.5
    return np.where(rate < reach, np.sqrt(reach * np.maximum(rate, 1e-30)), rate)


def _none() -> Verdicts:
    return Verdicts(
        *(np.zeros(0, bool if f.name in ("alarm", "warming") else "f8") for f in fields(Verdicts))
    )
