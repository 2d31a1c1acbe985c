"""The detectors that are on, as one matrix of channels: statistics in, event rates out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detection import company
from operators.detection.tails import Fit, Tails
from operators.detectors import DEFAULT, REGISTRY
from operators.detectors.channel import Detector, Floats, Window
from operators.detectors.spike import Spike
from operators.series import SeriesKey
from operators.settings import Detection

#: Event rate that a single value among those before it is given at least.
_FAMILIAR = 0.01


def _resolved(ids: Sequence[str], chosen: Sequence[str]) -> tuple[str, ...]:
    """Detectors of a signal: those named; and ``chosen``, if any has a plus before it."""
    names = [name.removeprefix("+") for name in ids]
    more = any(name.startswith("+") for name in ids)
    return tuple(dict.fromkeys([*chosen, *names] if more else names))


class Panel:
    """Detectors of a bank: those by default, and for some signals others (``per_signal``).

    Channels whose tails are learnt come first, then those of detectors that give event rates themselves.
    ``leads``, ``sides``: detector and direction of each channel; ``single``: whether it judges single values;
    ``spikes``: those that judge residuals themselves, above and below, if they are on;
    those from ``counted`` on come of counts.

    Raises:
        ValueError: when the settings name a detector that is not in the registry.
    """

    def __init__(self, settings: Detection) -> None:
        chosen = settings.detectors or DEFAULT
        special = [_resolved(ids, chosen) for ids in settings.per_signal.values()]
        wanted = tuple(dict.fromkeys(name for ids in (chosen, *special) for name in ids))
        unknown = sorted(set(wanted) - set(REGISTRY))
        if unknown:
            raise ValueError(f"unknown detectors {', '.join(unknown)}; there are {', '.join(REGISTRY)}")
        self.ids = wanted
        detectors = [REGISTRY[name]() for name in wanted]
        # those that few rows need come last: blocks without such rows leave them out
        few = [(d.id not in chosen, d.line is not None) for d in detectors]
        ordered = [d for _, d in sorted(zip(few, detectors, strict=True), key=lambda pair: pair[0])]
        self._tailed = [d for d in ordered if not d.rates]
        self._rated = sorted((d for d in detectors if d.rates), key=lambda d: d.counted)
        self._detectors: list[Detector] = [*self._tailed, *self._rated]
        channels = [(c, d) for d in self._detectors for c in d.channels]
        self.leads = np.array([wanted.index(d.id) for _, d in channels], np.int16)
        self.sides = np.array([c.direction for c, _ in channels], np.int8)
        self.counted = sum(not d.counted for _, d in channels)
        tailed = [c for d in self._tailed for c in d.channels]
        self.tails = Tails(tailed)
        self.single = np.isin(np.arange(len(channels)), self.tails.bulk)
        self.spikes = [i for i, (_, d) in enumerate(channels) if isinstance(d, Spike)]
        self._after = np.array([[c.after] for c in tailed], "f4")
        self._daily = np.array([[c.full_day] for c in tailed], bool)
        groups = (chosen, *special)
        self._groups = {name: i + 1 for i, name in enumerate(settings.per_signal)}
        on = np.array([[d.id in ids for ids in groups] for _, d in channels])
        self._chosen = {name: np.array([name in ids for ids in groups]) for name in wanted}
        weights = np.array([[c.weight] for c in tailed], "f4") * on[: len(tailed)]
        self._shares = weights / np.maximum(weights.sum(0), 1e-9)
        lines = [d.line for d in self._tailed for _ in d.channels]
        self._lines = {line: np.array([of == line for of in lines]) for line in set(lines) - {None}}
        beside = np.array([[line is not None] for line in lines])
        alone = np.where(beside, 0.0, weights)
        self._alone = np.maximum(alone / np.maximum(alone.sum(0), 1e-9), 1e-9)
        least = 1 + int(self.tails.bulk.max(initial=-1))
        wanted_by = on[: len(tailed)] & ~beside
        self._reach = np.maximum(len(tailed) - wanted_by[::-1].argmax(0), least)
        self._reach[~wanted_by.any(0)] = least
        self._reach_of_lines = max((i + 1 for i, line in enumerate(lines) if line is not None), default=0)
        self._off = ~on
        own = [field for d in self._detectors for field in d.fields]
        self.fields = (*own, *self.tails.fields, Field("group", None, "i2"))

    def add(self, state: Rows, keys: Sequence[SeriesKey]) -> None:
        """Begin on new rows."""
        state["group"][...] = [
            self._groups.get(f"{key.signal} {key.statistic}", self._groups.get(key.signal, 0)) for key in keys
        ]
        self.tails.start_rows(state, np.arange(len(keys)))

    def start(self, state: Rows, rows: NDArray[np.int64], sd: Floats) -> None:
        """See `Detector.start`."""
        for detector in self._detectors:
            detector.start(state, rows, sd)

    def settle(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """See `Detector.settle`."""
        for detector in self._detectors:
            detector.settle(state, rows)

    def observe(self, state: Rows, window: Window) -> Floats:
        """Statistics of the channels whose tails are learnt and that a row here needs, [k, n]."""
        if self._groups:
            group = state["group"]
            window.chosen = {name: on[group] for name, on in self._chosen.items() if not on.all()}
        count = int(self._reach[state["group"]].max(initial=1))
        if window.beside is not None:
            count = max(count, self._reach_of_lines)
        parts, lines = [], 0
        for detector in self._tailed:
            if lines < count:
                parts.append(detector.observe(state, window))
                lines += len(detector.channels)
        return np.concatenate(parts)

    def fit(self, state: Rows, statistic: Floats) -> Fit:
        """The tails of the channels that ``statistic`` has, as they are known now."""
        tails = self.tails.first(len(statistic))
        return tails.fit(tails.narrow(state))

    def _shares_of(self, group: NDArray[np.int16], window: Window, count: int) -> Floats:
        """Shares of the budget of the first ``count`` channels; what a row cannot use goes to its others."""
        if window.beside is None:
            alone: Floats = self._alone[:count, group] if group.any() else self._alone[:count, :1]
            return alone
        shares: Floats = self._shares[:count, group]
        for line, here in self._lines.items():
            idle = np.isnan(window.beside[line])
            shares = shares / (1.0 - idle * self._shares[here].sum(0)[group])
        return np.maximum(shares, 1e-9)

    def rates(
        self,
        state: Rows,
        window: Window,
        fit: Fit,
        statistic: Floats,
        day: float,
    ) -> Floats:
        """Event rates of all channels over their share of the budget; 1 where one may not speak.

        The least of them is a valid rate of the row: a Bonferroni bound on event rates, weighted by share.

        Args:
            state: the rows' state.
            window: the window.
            fit: the tails now.
            statistic: what `observe` gave.
            day: windows a row must be old for channels that need a full day.
        """
        n, group, bulk, count = state["n"], state["group"], self.tails.bulk, len(statistic)
        own = n - state["lent"]
        rates = np.ones((len(self.leads), len(n)), statistic.dtype)
        tailed = rates[:count]
        tailed[...] = fit.rate(statistic) / self._shares_of(group, window, count)
        tailed[(own < self._after[:count]) | (self._daily[:count] & (n < day)) | ~window.active] = 1.0
        odd = np.flatnonzero((rates[bulk] < _FAMILIAR).any(0))
        known = odd[company.familiar(state, window, odd)]
        rates[bulk[:, None], known] = np.maximum(rates[bulk[:, None], known], _FAMILIAR)
        lines = len(self._shares)
        for detector in self._rated:
            rates[lines : lines + len(detector.channels)] = detector.observe(state, window)
            lines += len(detector.channels)
        if len(self._groups):
            rates[self._off[:, group]] = 1.0
        return rates

    def band(
        self, state: Rows, window: Window, fit: Fit, allowed: Floats, lead: NDArray[np.int64]
    ) -> tuple[Floats, Floats, Floats]:
        """Between which working values a single one may lie at ``allowed`` events a window, [n] each.

        The band is about the prediction; where `marginal` leads, about level and season.

        Returns:
            Middle, low and high.
        """
        middle, pairs = window.predicted, self.tails.bulk.reshape(-1, 2)
        shares = self._shares_of(state["group"], window, len(fit.xi))
        low, high = np.full(len(allowed), np.nan), np.full(len(allowed), np.nan)
        for place, (above, below) in enumerate(pairs.tolist()):
            led = (lead == above) | (lead == below)
            if place and not led.any():
                continue
            up, down = (fit.level(allowed * shares[above], channel) for channel in (above, below))
            scale = window.scratch.get("marginal_scale", window.sd) if place else window.sd
            at = window.y - window.deviation if place else window.predicted
            chosen = led if place else np.ones_like(led)
            middle = np.where(chosen, at, middle)
            low, high = np.where(chosen, at - down * scale, low), np.where(chosen, at + up * scale, high)
        return middle, low, high

    def keep(self, state: Rows) -> None:
        """See `Detector.keep`."""
        for detector in self._detectors:
            detector.keep(state)

    def dump(self) -> dict[str, NDArray[np.uint8]]:
        """State of detectors that keep more than fields, by id."""
        states = {detector.id: detector.dump() for detector in self._detectors}
        return {name: np.frombuffer(data, np.uint8) for name, data in states.items() if data}

    def load(self, states: dict[str, NDArray[np.uint8]]) -> None:
        """Take back what `dump` gave."""
        for detector in self._detectors:
            if detector.id in states:
                detector.load(states[detector.id].tobytes())

    def learn(
        self, state: Rows, window: Window, fit: Fit, statistic: Floats, frozen: NDArray[np.bool_]
    ) -> None:
        """Tails, then what detectors learn themselves."""
        count = len(statistic)
        heard = None
        if window.beside is not None:
            heard = np.ones(statistic.shape, bool)
            for line, here in self._lines.items():
                heard[here[:count]] = np.isfinite(window.beside[line])
        tails = self.tails.first(count)
        tails.learn(tails.narrow(state), statistic, fit, window.active, frozen, heard)
        self.tails.idle(state, count, window.active)
        for detector in self._detectors:
            detector.learn(state, window)
