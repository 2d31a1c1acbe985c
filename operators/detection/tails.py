"""The rate of events at a statistic's level, for any channel, learnt per row: peaks over a threshold.

Windows above a channel's threshold come in clusters; their peaks are fitted by a generalised Pareto tail
through two running L-moments (Hosking), shrunk to a prior. ``rate(u)`` is the number of clusters a window
that reach ``u``, so "1 / rate" is a mean time between events whatever the autocorrelation. Its inverse is a
threshold.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detection import records
from operators.detectors.channel import Channel, Floats

PEAK_MEMORY = 400.0
RATE_MEMORY = 4000.0
#: Windows from which, and in which, a single value's tail comes to be taken for as heavy as it may be. In a
#: short history heavy tails and a few anomalies look the same, and anomalies are what it is there for.
_DOUBT_FROM, _DOUBT_OVER = 1000.0, 3000.0
#: How much wider than exponential the bulk is taken for then, in logs; and that many standard errors of the
#: shape. Peaks are clipped where so many are expected in the history, if that is rarer than `cap`.
_WIDER, _ERRORS, _UNSEEN = 0.1, 1.0, 0.1
#: Ratio of residual variances, clipped far out and near, at which averages do not follow theory, and below
#: which by how much they do; how much of the values' own variance counts beside; windows this takes to know.
_TAME, _TAME_OVER, _WHITE, _TAME_FROM = 1.10, 0.07, 0.95, 750.0
#: Peaks that theory is worth there beside the prior, for mean and shape of the excess; and by how much less.
_SURE_MEAN, _SURE_SHAPE, _SURE_SIGMA = 100.0, 400.0, 0.25


class Fit(NamedTuple):
    """Generalised Pareto tails, [C, n]: clusters a window, threshold, scale, shape."""

    clusters: Floats
    threshold: Floats
    sigma: Floats
    xi: Floats

    def rate(self, statistic: Floats) -> Floats:
        """Events a window that reach ``statistic`` [C, n]; 1 is ordinary."""
        excess = statistic - self.threshold
        rate: Floats = np.exp(np.minimum(-excess / self.sigma, 50.0))
        at = np.nonzero(excess > 0)
        xi = self.xi[at]
        tail = np.maximum(1 + xi * excess[at] / self.sigma[at], 1e-12) ** (-1 / xi)
        rate[at] = np.maximum(tail, 1e-30)
        return self.clusters * rate

    def level(self, rate: Floats | float, channel: int) -> Floats:
        """The statistic of ``channel`` that ``rate`` events a window reach (not below the threshold), [n]."""
        xi, sigma = self.xi[channel], self.sigma[channel]
        beyond = np.maximum(self.clusters[channel] / rate, 1.0)
        level: Floats = self.threshold[channel] + sigma / xi * (beyond**xi - 1)
        return level


def _doubt(state: Rows) -> Floats:
    """0 in a short history, 1 in a long one."""
    return np.minimum(np.maximum((state["n"] - _DOUBT_FROM) / _DOUBT_OVER, 0.0), 1.0)


def _tame(state: Rows) -> Floats:
    """1 where residuals have no tails and values are white about their level, [n], once that is known.

    Averages of such follow theory far out. Rows of any other kind, and ratios, whose scores hide how they
    wander, must show their own tails.
    """
    widest = np.maximum(state["wide_var"], _WHITE * state["plain_var"])
    return np.where(state["of_trials"] > 0, np.float32(0.0), _near(state, widest))


def _thin(state: Rows) -> Floats:
    """1 where residuals have no tails, [n], once that is known: 0 until then."""
    return _near(state, state["wide_var"])


def _near(state: Rows, widest: Floats) -> Floats:
    """1 where the variance of residuals clipped near is as good as ``widest`` [n], once that is known."""
    ratio = (widest / state["var"]).astype("f4")
    thin = np.minimum(np.maximum((_TAME - ratio) / _TAME_OVER, 0.0), 1.0)
    known = np.minimum(np.maximum((state["n"] - _TAME_FROM) / _TAME_FROM, 0.0), 1.0)
    near: Floats = thin * known
    return near


class Tails:
    """Fits and learns the tails of a fixed list of channels: the first of those in a row's state."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = tuple(channels)
        self._first: dict[int, Tails] = {}
        count = len(channels)

        def column(values: Iterable[float]) -> NDArray[np.float32]:
            return np.array(list(values), np.float32)[:, None]

        tails = [channel.tail for channel in channels]
        self.quantile = column(t.quantile for t in tails)
        self.start_min = column(t.start_min for t in tails)
        self.start = column(t.start for t in tails)
        self.sigma, self.xi = column(t.sigma for t in tails), column(t.xi for t in tails)
        self.sigma_peaks, self.xi_peaks = (
            column(t.sigma_peaks for t in tails),
            column(t.xi_peaks for t in tails),
        )
        self.doubt, self.thin = column(t.doubt_peaks for t in tails), column(t.thin_peaks for t in tails)
        self.sigma_min, self.xi_min = column(t.sigma_min for t in tails), column(t.xi_min for t in tails)
        self.cap = column(t.cap for t in tails)
        self.gap = column(c.gap for c in channels)
        self.clusters = column(c.clusters for c in channels)
        self.step = 0.45 / self.quantile**0.85
        self.sums = column(t.sum for t in tails)
        self.bulk = np.flatnonzero([t.bulk for t in tails])
        self.bulk_quantiles = np.array([0.08, 0.32], "f4")[:, None, None]
        self.bulk_step = 0.45 / self.bulk_quantiles**0.85
        self.fields = (
            Field("tail_start", count),
            Field("tail_peaks", count),
            Field("tail_sum", count),
            Field("tail_low", count),
            Field("tail_peak", count, "f2"),
            Field("tail_last", count, "f2", np.nan),
            Field("tail_quiet", count, "f2", -1.0),
            Field("tail_clusters", count),
            Field("tail_windows"),
            Field("bulk", 2 * len(self.bulk)),
        )

    def start_rows(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """Begin on ``rows`` (indices into the block)."""
        state["tail_start"][:, rows] = self.start
        state["bulk"][: len(self.bulk), rows] = 1.405
        state["bulk"][len(self.bulk) :, rows] = 0.468

    def first(self, count: int) -> "Tails":
        """The tails of the first ``count`` channels alone, all whose prior is the bulk among them."""
        if count not in self._first:
            self._first[count] = Tails(self._channels[:count])
        return self._first[count]

    def narrow(self, state: Rows) -> Rows:
        """The part of a state of more channels that is theirs: views."""
        wide = {field.name: state[field.name] for field in self.fields if field.width}
        return state | {
            name: values[: len(self._channels)] for name, values in wide.items() if name != "bulk"
        }

    def fit(self, state: Rows) -> Fit:
        """The tails as they are known now: predictive, so doubt makes them heavier."""
        peaks, total = state["tail_peaks"], state["tail_sum"]
        shape = peaks.shape
        sigma, xi = np.broadcast_to(self.sigma, shape).copy(), np.broadcast_to(self.xi, shape).copy()
        sigma[self.bulk], xi[self.bulk] = self._from_bulk(state)
        tame = self.sums * _tame(state)
        sigma -= _SURE_SIGMA * tame
        sigma_peaks, xi_peaks = self.sigma_peaks + _SURE_MEAN * tame, self.xi_peaks + _SURE_SHAPE * tame
        mean = (sigma_peaks * sigma + total) / (sigma_peaks + peaks)
        observed = total / np.maximum(peaks, 1)
        low = state["tail_low"] / np.maximum(peaks - 1, 1)
        shape_seen = 2 - observed / np.maximum(observed - low, 1e-9)
        shape_seen = np.minimum(np.maximum(shape_seen, -0.5), 0.8)
        xi = (peaks * shape_seen + xi_peaks * xi) / (peaks + xi_peaks)
        xi = np.minimum(np.maximum(xi, self.xi_min), 0.5)
        sigma = np.maximum(mean * (1 - xi), self.sigma_min)
        xi += 1.0 / (self.doubt + self.thin * _thin(state) + _SURE_SHAPE * tame + peaks)
        known = peaks[self.bulk]
        xi[self.bulk] += _doubt(state) * _ERRORS * np.sqrt(known) / (known + self.xi_peaks[self.bulk])
        xi = np.where(np.abs(xi) < 1e-3, np.float32(1e-3), xi)
        clusters = (100 * self.clusters + state["tail_clusters"]) / (100 + state["tail_windows"])
        return Fit(clusters, state["tail_start"], sigma, xi)

    def _from_bulk(self, state: Rows) -> tuple[Floats, Floats]:
        """Prior scale and shape of single-value channels, from how their quantiles widen outwards."""
        start, (near, far) = state["tail_start"][self.bulk], np.split(state["bulk"], 2)
        outer, inner = np.maximum(start - near, 0.05), np.maximum(near - far, 0.05)
        trust = state["n"] / (state["n"] + 300.0)
        widening = np.minimum(np.maximum(outer / inner, 0.2), 2.0)
        log_ratio = trust * np.log(widening) + (1 - trust) * np.log(0.85)
        sigma = outer * np.minimum(np.maximum(0.75 * np.exp(log_ratio), 0.2), 1.2)
        wider = log_ratio + _WIDER * _doubt(state)
        xi = np.minimum(np.maximum(np.where(wider > 0, 1.5 * wider, 0.3 * wider), -0.15), 0.4)
        return sigma, xi

    def idle(self, state: Rows, count: int, active: NDArray[Any]) -> None:
        """Channels from ``count`` on had nothing to judge: they had as many events as it was taken for."""
        left = state["tail_clusters"][count:]
        if left.size:
            left *= 1.0 - active / RATE_MEMORY
            left += active * self.clusters[count:]

    def learn(
        self,
        state: Rows,
        statistic: Floats,
        fit: Fit,
        active: NDArray[Any],
        frozen: NDArray[Any],
        heard: NDArray[np.bool_] | None = None,
    ) -> None:
        """Learn one window's statistics [C, n]: peaks always, quantiles not while ``frozen``.

        ``heard``: [C, n] where a channel had something to judge, if not everywhere.
        """
        forget = 1.0 - active / RATE_MEMORY
        state["tail_windows"] *= forget
        state["tail_windows"] += active
        clusters, quiet, peak = state["tail_clusters"], state["tail_quiet"], state["tail_peak"]
        clusters *= forget
        if heard is not None:
            clusters += active * ~heard * self.clusters
        start = state["tail_start"]
        over = statistic > start
        # half floats are slow, and few channels are inside a cluster: its quiet is not below 0, a sign bit
        inside = quiet.view("i2") >= 0
        above = np.nonzero(over & active)
        peak[above] = np.where(inside[above], np.maximum(peak[above], statistic[above]), statistic[above])
        going = np.nonzero(inside & active & ~over)
        quiet[going] += 1
        quiet[above] = 0
        ended = quiet[going] >= self.gap[going[0], 0]
        if ended.any():
            lines, rows = going[0][ended], going[1][ended]
            spared = records.spared(state, rows)
            quiet[lines[spared], rows[spared]] = -1.0
            self._end_clusters(state, fit, (lines[~spared], rows[~spared]))
        gain = (active & ~frozen) / np.minimum(np.maximum(state["n"], 100.0), 2000.0)
        start += (gain if heard is None else gain * heard) * self.step * (over - self.quantile)
        start[...] = np.minimum(np.maximum(start, self.start_min), 6.0)
        bulk = state["bulk"].reshape(2, len(self.bulk), statistic.shape[1])
        bulk += gain * self.bulk_step * ((statistic[self.bulk] > bulk) - self.bulk_quantiles)

    def _end_clusters(self, state: Rows, fit: Fit, at: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
        """Take the peaks of clusters that ended ``at`` these channels and rows into the L-moments.

        They are clipped at ``cap`` events a window.
        """
        lines, rows = at
        state["tail_quiet"][at] = -1.0
        state["tail_clusters"][at] += 1
        usual = self.cap[lines, 0]
        unseen = _UNSEEN / np.maximum(state["n"][rows], 1.0)
        cap = np.minimum(usual, np.maximum(unseen, 0.2 * usual))
        threshold, sigma, xi = fit.threshold[at], fit.sigma[at], fit.xi[at]
        ratio = np.maximum(cap / fit.clusters[at], 1e-9)
        most = sigma / xi * (ratio**-xi - 1)
        peak, last = state["tail_peak"][at], state["tail_last"][at]
        excess = np.minimum(np.maximum(peak - threshold, 1e-6), np.maximum(most, 1e-6))
        lower = np.where(np.isnan(last), excess / 2, np.minimum(excess, last))
        keep = 1.0 - 1.0 / PEAK_MEMORY
        for name, value in (("tail_sum", excess), ("tail_low", lower), ("tail_peaks", 1.0)):
            state[name][at] = state[name][at] * keep + value
        state["tail_last"][at] = excess
