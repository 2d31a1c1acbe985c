"""The bank: every (series, statistic) of a shard judged in lock-step, window by window.

A window goes transform -> prediction -> detectors' statistics -> event rates -> one rate a row -> alarm, and
only then is learnt from, by how ordinary it was.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.columns import Columns, Rows
from operators.detection import (
    baseline,
    budget,
    company,
    ending,
    granularity,
    reach,
    records,
    relatives,
    season,
    transform,
    trials,
)
from operators.detection.baseline import WARM_UP
from operators.detection.panel import Panel
from operators.detection.peers import Peers
from operators.detection.shares import Shares
from operators.detection.tails import Fit
from operators.detection.verdicts import EMPIRICAL, EXTRAPOLATED, PRIOR, Verdicts, WindowValues
from operators.detectors.channel import Floats, Window
from operators.series import SeriesKey, fingerprint
from operators.settings import Detection

#: Rows handled at once: their state stays in the processor's cache.
BLOCK = 2048
#: A value of this size, or infinite, is no measurement: it counts as missing.
_MOST = 1e30


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
        self._panel = Panel(settings)
        self._relatives = relatives.Relatives()
        self._peers = Peers()
        self._unseen: set[int] = set()
        self.detector_ids = self._panel.ids
        self._day = min(86_400 / self.period_s, 400.0)
        self._patience = ending.patience(self.period_s)
        windows = settings.alarm_budget.per_series_days * 86_400 / self.period_s
        self._budget = budget.Budget(windows, settings.alarm_budget.fleet_fdr)
        self._shares = Shares(settings.budget_shares, self.detector_ids, self._panel.leads)
        self._columns = Columns(
            (
                *baseline.FIELDS,
                *transform.FIELDS,
                *granularity.FIELDS,
                *budget.FIELDS,
                *records.FIELDS,
                *company.FIELDS,
                *trials.FIELDS,
                *relatives.FIELDS,
                *ending.FIELDS,
                *self._panel.fields,
            )
        )

    @property
    def bytes_per_row(self) -> int:
        """Bytes of state one row takes."""
        return self._columns.bytes_per_row

    def warming(self) -> tuple[int, float]:
        """Rows that have begun and are not judged by windows of their own yet, and how long they will take.

        Returns:
            How many, and seconds until the last of them is done if none of its windows is missing.
        """
        state = self._columns.take(slice(0, self._columns.count))
        own = state["n"] - state["lent"]
        left = WARM_UP - own[(state["n"] > 0) & (own < WARM_UP)]
        return len(left), float(left.max(initial=0.0)) * self.period_s

    def usual_samples(self, rows: NDArray[np.int64]) -> Floats:
        """Samples that a window of these rows had of late, [len(rows)]; 0 where they are not counted."""
        samples: Floats = self._columns.take(slice(0, self._columns.count))["usual_samples"][rows]
        return samples

    def add(self, keys: Sequence[SeriesKey], time_ms: int) -> NDArray[np.int64]:
        """Add rows, which start warming at ``time_ms``; returns their indices."""
        rows = self._columns.add(len(keys))
        self.keys.extend(keys)
        self._relatives.add(keys)
        self._peers.add(keys)
        self._unseen.update(rows.tolist())
        new = self._columns.take(slice(int(rows[0]), int(rows[-1]) + 1)) if len(rows) else {}
        if new:
            new["seed"][...] = [int(fingerprint(key, "")[:8], 16) for key in keys]
            new["unit"][...] = [self.period_s if key.kind == "count" else 1.0 for key in keys]
            self._panel.add(new, keys)
        return rows

    def restart(self, rows: NDArray[np.int64]) -> None:
        """Make ``rows`` as if they had just been added: what they measure has changed."""
        fresh = Columns(self._columns.fields)
        fresh.add(len(rows))
        state = {name: values.copy() for name, values in fresh.take(slice(0, len(rows))).items()}
        old = self._columns.take(rows)
        for name in ("seed", "group", "unit"):
            state[name] = old[name]
        self._panel.tails.start_rows(state, np.arange(len(rows)))
        self._columns.put(rows, state)

    def accept(self, rows: NDArray[np.int64], windows: int) -> None:
        """Take the last ``windows`` windows (24 at most) of ``rows`` for their new normal, at once.

        For changes that are known to be meant: left alone, a bank waits for hours.
        """
        state = self._columns.take(rows)
        back = np.arange(WARM_UP)[:, None] - (state["n"].astype(np.int64) - windows)
        state["recent"][(back % WARM_UP) >= windows] = np.nan
        least = {name: state[name].copy() for name in ("var", "wide_var")}
        with np.errstate(invalid="ignore", divide="ignore"):
            self._accept(state, np.arange(len(rows)))
        for name, known in least.items():  # a few windows tell a level, no scale
            np.maximum(state[name], known, out=state[name], where=state["of_trials"] == 0)
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
        claims = self._budget.across(len(rows))
        for part, state, values, shares, near in self._blocks(rows, window):
            times = time_ms if isinstance(time_ms, int) else time_ms[part]
            parts.append(self._judge(state, times / 1000.0, values, claims, shares, near))
        verdicts = Verdicts.join(parts) if parts else Verdicts.none()
        if claims:
            fleet = self._columns.take(slice(0, self._columns.count))
            verdicts.alarm = self._budget.discoveries(fleet, rows, verdicts.p_value, verdicts.alarm)
        return verdicts

    def rehearse(self, times_ms: Sequence[int], rows: NDArray[np.int64], window: WindowValues) -> None:
        """Learn from several windows that had the same values, without telling what is thought of them.

        Args:
            times_ms: their starts, ascending, Unix ms.
            rows: as for `step`.
            window: the values of each of them.
        """
        if self._budget.across(len(rows)):
            for time_ms in times_ms:
                self.step(time_ms, rows, window)
            return
        for _, state, values, shares, near in self._blocks(rows, window):
            for time_ms in times_ms:
                self._judge(state, time_ms / 1000.0, values, False, shares, near, told=False)

    def _blocks(
        self, rows: NDArray[np.int64], window: WindowValues
    ) -> Iterator[tuple[slice, Rows, WindowValues, Floats | None, Floats | None]]:
        """Places, state, values, lowered shares and differences from peers of rows to judge at once."""
        if self._unseen:
            self._inherit(rows, window)
        beside = self._peers.differences(rows, window)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            for first in range(0, len(rows), BLOCK):
                part = slice(first, min(first + BLOCK, len(rows)))
                some = rows[part]
                block = self._columns.block(some)
                values = window if len(some) == len(rows) else window.part(part)
                near = None if beside is None else beside[:, part]
                near = None if near is None or np.isnan(near).all() else near
                yield part, block.state, values, self._shares.at(self.keys, some), near
                self._columns.done(block)

    def _inherit(self, rows: NDArray[np.int64], window: WindowValues) -> None:
        """Let rows that have their first window now start from their relatives."""
        unseen = np.zeros(self._columns.count, bool)
        unseen[list(self._unseen)] = True
        new = unseen[rows]
        new &= np.abs(window.value) < _MOST
        if not new.any():
            return
        begun = rows[new]
        self._unseen.difference_update(begun.tolist())
        relatives.inherit(self._columns, self._relatives, begun, window.samples[new])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All state but `keys`, for the state codec; see `load`."""
        return self._columns.arrays() | self._panel.dump()

    def load(self, arrays: dict[str, NDArray[Any]], keys: Sequence[SeriesKey]) -> None:
        """Replace all rows: their state, and the series they are."""
        own = {name: arrays[name] for name in self.detector_ids if name in arrays}
        self._panel.load(own)
        self._columns.load({name: values for name, values in arrays.items() if name not in own})
        self._know(keys)

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Let go of all rows but these, ascending, which are numbered anew, in this order."""
        self._columns.keep(rows)
        self._panel.keep(self._columns.take(slice(0, len(rows))))
        self._know([self.keys[row] for row in rows.tolist()])

    def _know(self, keys: Sequence[SeriesKey]) -> None:
        """Take the series of all rows, whose state is there."""
        self.keys = list(keys)
        self._relatives = relatives.Relatives()
        self._relatives.add(keys)
        self._peers = Peers()
        self._peers.add(keys)
        self._shares = Shares(self.settings.budget_shares, self.detector_ids, self._panel.leads)
        state = self._columns.take(slice(0, self._columns.count))
        self._unseen = set(np.flatnonzero(state["n"] == 0).tolist())

    def _judge(
        self,
        state: Rows,
        time_s: float | Floats,
        window: WindowValues,
        claims: bool,
        shares: Floats | None,
        beside: Floats | None,
        *,
        told: bool = True,
    ) -> Verdicts:
        given = np.abs(window.value) < _MOST
        n = state["n"]
        young = n < WARM_UP
        active = given & ~young
        value = self._working(state, window, given, time_s)
        self._remember(state, value, window, given)
        at = season.look_up(state, time_s, self.period_s)
        raw = np.where(active, value, 0.0)
        motion = granularity.watch(state, value, given)
        spread = raw
        if motion.step.any():
            spread = raw + motion.step * transform.noise(state["seed"], time_s)
        y = np.where(active, transform.forward(spread, state["root"]), state["level"])
        counts = (window.hits, window.samples)
        seen, features = baseline.predict(state, value, y, active, at, motion, counts)
        seen.beside = beside
        statistic = self._panel.observe(state, seen)
        fit = self._panel.fit(state, statistic)
        rates = self._panel.rates(state, seen, fit, statistic, self._day)
        if shares is not None:
            rates = np.minimum(rates / shares, 1.0)
        lead, rate, reached = self._least(rates, n, window.samples)
        raw_rate = np.where(active, rate, 1.0)
        lone = self._panel.single[lead] & ~(window.samples >= 20)
        known = np.minimum((n - WARM_UP) / company.KNOWN, 1.0)
        twice = company.in_a_row(state, seen.z, rates[self._panel.spikes], active, known)
        reached = np.where(active, reached, 1.0)
        company.remember(state, seen)
        rate = company.weighed(state, raw_rate, reached, lone, reach.reached(twice, n))
        rate = records.bounded(state, raw_rate, rate, active, season.odd_yesterday(state, at))
        allowed = 1.0 / (self._budget.windows * self._budget.factor(state))
        alarm = self._budget.decide(state, rate, active, claims=claims)
        verdicts = Verdicts.none()
        if told:
            verdicts = self._verdicts(state, seen, fit, rate, allowed, alarm, lead, young, window)
        self._learn(state, seen, features, at, fit, statistic, raw_rate)
        self._learn_trials(state, window, np.where(young, given, seen.learn))
        return verdicts

    def _least(self, rates: Floats, n: Floats, samples: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
        """The leading channel of each row and its rate, no claim of which is beyond the history.

        The last one returned is the rate before what is unknown of lone values is allowed for.
        """
        fitted, counted = rates[: self._panel.counted], rates[self._panel.counted :]
        lead = fitted.argmin(0)
        places = np.arange(len(lead))
        reached = reach.reached(np.minimum(fitted[lead, places], 1.0), n)
        rate = reach.bounded(reached, n, samples)
        if counted.size:
            other = counted.argmin(0)
            less = counted[other, places] < rate
            lead = np.where(less, other + self._panel.counted, lead)
            rate = np.where(less, counted[other, places], rate)
        return lead, rate, reached

    def _working(
        self, state: Rows, window: WindowValues, given: NDArray[np.bool_], time_s: float | Floats
    ) -> Floats:
        """What is judged: counts a window instead of rates, normal scores instead of ratios of trials."""
        value = np.where(given, window.value, np.nan) * state["unit"]
        known = given & ~np.isnan(window.hits) & (window.samples > 0)
        state["of_trials"][...] = np.where(given, known, state["of_trials"])
        if not known.any():
            return value
        some = np.flatnonzero(known)
        times = time_s[some] if isinstance(time_s, np.ndarray) else time_s
        uniform = transform.noise(state["seed"][some], times) + 0.5
        value[some] = trials.scores(state, some, window.hits[some], window.samples[some], uniform)
        return value

    def _learn_trials(self, state: Rows, window: WindowValues, weight: Floats) -> None:
        of = state["of_trials"] > 0
        if of.any():
            weight = np.where(of, weight, 0.0)
            hits = np.where(weight > 0, window.hits, 0.0)
            trials.learn(state, hits, np.where(weight > 0, window.samples, 0.0), weight)

    def _remember(self, state: Rows, value: Floats, window: WindowValues, given: NDArray[np.bool_]) -> None:
        """Count the window; start rows whose warm-up it ends."""
        n = state["n"]
        some = np.flatnonzero(given)
        np.copyto(state["origin"], value, where=given & (n == state["lent"]))
        place = n[some].astype(np.int64) % WARM_UP
        state["recent"][place, some] = value[some] - state["origin"][some]
        n += given
        samples = np.where(given & (window.samples > 0), window.samples, state["usual_samples"])
        state["usual_samples"] += (samples - state["usual_samples"]) / np.minimum(
            np.maximum(n - state["lent"], 1.0), 100.0
        )
        np.maximum(state["floor"], window.resolution * state["unit"] * baseline.ROUNDING, out=state["floor"])
        ready = np.flatnonzero(given & (n == WARM_UP))
        if ready.size:
            transform.choose(state, ready, baseline.recent(state, ready))
            self._restart(state, ready)
            state["season_unit"][ready] = np.sqrt(state["var"][ready])
            state["anchor"][ready] = state["level"][ready]

    def _restart(self, state: Rows, rows: NDArray[np.int64]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            ring = transform.forward(baseline.recent(state, rows), state["root"][rows])
            scale = baseline.restart(state, rows, ring)
        self._panel.start(state, rows, scale)

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
        over = ending.over(state, seen)
        if over.size:
            self._panel.settle(state, over)
            baseline.settle(state, over)
        hot, accepted = ending.freeze(state, seen, rate, self._patience)
        frozen = state["frozen"]
        seen.learn = (seen.active & (~hot | accepted)).astype("f4")
        self._panel.learn(state, seen, fit, statistic, hot & (frozen > 5))
        before = state["level"].copy()
        season.learn(state, at, seen, frozen <= 6, self.period_s)
        baseline.learn(state, seen, features, at)
        if accepted.any():
            self._accept(state, np.flatnonzero(accepted))
        season.follow(state, state["level"] - before, self.period_s)

    def _accept(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """Take the state of the last windows for the new normal."""
        self._restart(state, rows)
        company.forget(state, rows)
        trials.accept(state, rows)
        state["bias"][rows] = 0.0
        state["frozen"][rows] = 0.0
        self._panel.settle(state, rows)

    def _verdicts(
        self,
        state: Rows,
        seen: Window,
        fit: Fit,
        rate: Floats,
        allowed: Floats,
        alarm: NDArray[np.bool_],
        lead: NDArray[np.int64],
        young: NDArray[np.bool_],
        window: WindowValues,
    ) -> Verdicts:
        root, n, of = state["root"], state["n"], state["of_trials"] > 0
        band = self._panel.band(state, seen, fit, allowed, lead)
        middle, low, high = (transform.backward(line, root) for line in band)
        # values were judged up to half a step off: what lies inside the band must not have been an alarm
        low, high = np.minimum(low + seen.step / 2, middle), np.maximum(high - seen.step / 2, middle)
        scale = [line / state["unit"] for line in (middle, low, high)]
        if of.any():
            ratios = trials.band(state, band, window.samples)
            scale = [np.where(of, x, y) for x, y in zip(ratios, scale, strict=True)]
        own = n - state["lent"]
        reach = own * allowed
        side = self._panel.sides[lead]
        # a second odd value has less room than a lone one
        told = alarm & self._panel.single[lead]
        low, high = (
            np.where(told, part(line, window.value), line)
            for part, line in ((np.fmax, scale[1]), (np.fmin, scale[2]))
        )
        scale[1:] = np.minimum(low, scale[0]), np.maximum(high, scale[0])
        return Verdicts(
            score=-np.log10(rate) + 0.0,
            p_value=np.asarray(rate, "f8"),
            alarm=alarm,
            detector=self._panel.leads[lead],
            expected=scale[0],
            low=scale[1],
            high=scale[2],
            direction=np.where(side == 0, np.sign(seen.z).astype(np.int8), side),
            calibration=np.where(reach >= 1, EMPIRICAL, np.where(own >= 500, EXTRAPOLATED, PRIOR)).astype(
                np.int8
            ),
            warming=own <= WARM_UP,
            threshold=-np.log10(allowed),
        )
