"""Known series that say nothing more: how implausible the silence is, and whether it harms anyone.

A silence counts in windows in which the pipeline saw anything at all. It is implausible once its own learnt
rate makes it so (Poisson) and it is well beyond the longest gap the series had before; a series too sparse
for that within an hour is never missed.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.lifecycle.findings import Finding
from operators.series import Slice
from operators.shard.catalogue import Base, Catalogue
from operators.shard.sketches import Floats, Ints
from operators.shard.slices import LEFT_OUT
from operators.shard.statistics import STARTED, Form
from schemas.outputs import Severity, Symptom

DETECTOR = "absence/1"
#: Samples a silence must have cost, by the learnt rate: e**-12 is one in 160,000.
_COST = 12.0
#: Windows that a silence lasts at the least.
_LEAST = 3
#: A silence must be this many times the longest gap before.
_LONGER = 2.5
#: Silences beyond this are of a series too sparse to be missed (s).
_LIMIT_S = 3600.0
#: Windows seen before a series is known; windows after which a harmless or harmful silence is taken for good.
_KNOWN, _GONE, _GIVEN_UP = 20, 30, 1440
#: Windows for which a series that is back is said to be well.
_CALM = 120
#: Standard deviations by which a parent must have lost what a silent part of it carried.
_SIGNIFICANT = 3.0
#: Share of its samples that a parent must go on with, for what it lost to be a part of it.
_ALIVE = 0.2
#: Windows after which a replica is missed for having gone unasked, where telemetry says how many are asked
#: for: what its siblings do tells little then, for load wanders more than one of several carries.
_VANISHED = 10
#: Windows over which the learnt rate forgets.
_MEMORY = 30.0
#: Windows of samples kept, to compare before with after.
_RING = 24
#: Windows between asking for fewer replicas and the last of them being gone.
_SCALING = 15
#: Topics whose samples carry requests: a scrape that ends takes nothing from anybody.
_CARRIES = frozenset({"telemetry.requests.v1", "otlp_spans"})
#: More is not said of any evidence (-log10 p).
_CERTAIN = 100.0
#: Seconds that replicas may be short before it is a failure.
_SHORT_S = 300.0

COMPLETIONS = "gen_ai.server.completions"
READY, DESIRED = "gen_ai.server.replicas_ready", "gen_ai.server.replicas_desired"
#: Which signal speaks for a slice that is silent altogether.
_SPOKESMEN = (COMPLETIONS, "producer.heartbeat", "gen_ai.server.arrivals", READY)


class Absence:
    """Presence of every base of a catalogue, index by index."""

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self.window = 0
        self.last: Ints = np.zeros(0, np.int64)
        self.seen: Ints = np.zeros(0, np.int64)
        self.gap: Floats = np.zeros(0)
        self.rate: Floats = np.zeros(0)
        self.gone: npt.NDArray[np.bool_] = np.zeros(0, bool)
        self.silent: npt.NDArray[np.bool_] = np.zeros(0, bool)
        self.pages: npt.NDArray[np.bool_] = np.zeros(0, bool)
        self.calm: Ints = np.zeros(0, np.int64)
        self.short: Ints = np.zeros(0, np.int64)
        self.desired: Floats = np.zeros(0)
        self.fell: Ints = np.zeros(0, np.int64)
        self.ring: npt.NDArray[np.float32] = np.zeros((0, _RING), np.float32)

    def grow(self, size: int) -> None:
        """Make room for bases up to ``size``, all of them first seen now."""
        new = size - len(self.last)
        if new <= 0:
            return
        for name, array in self.arrays().items():
            fresh = np.zeros((new, *array.shape[1:]), array.dtype)
            setattr(self, name, np.concatenate([array, fresh]))
        self.last[-new:] = self.window

    def observe(self, index: Ints, samples: Floats) -> None:
        """Count one window.

        Args:
            index: bases that said something.
            samples: how many samples each.
        """
        self.window += 1
        self.ring[:, self.window % _RING] = 0
        self.ring[index, self.window % _RING] = samples
        gap = self.window - self.last[index]
        keep = np.exp(-gap / _MEMORY)
        started = self.seen[index] == 0
        # a silence that was told was none of its own: it counts for as long as it took to be told
        told = np.maximum(_COST / np.maximum(self.rate[index] * self.window_s, 1e-9), _LEAST)
        usual = np.minimum(gap - 1, np.maximum(told, _LONGER * self.gap[index]))
        mean = samples / (gap * self.window_s)
        learnt = self.rate[index] * keep + mean * (1 - keep)
        self.rate[index] = np.where(started, samples / self.window_s, learnt)
        self.gap[index] = np.where(started, 0, np.maximum(self.gap[index] * 0.9995, usual))
        self.last[index] = self.window
        self.seen[index] += 1
        self.calm = np.maximum(self.calm - 1, 0)
        self.calm[index[self.silent[index]]] = _CALM
        self.gone[index] = self.silent[index] = self.pages[index] = False

    def missing(self) -> npt.NDArray[np.bool_]:
        """Which bases are silent beyond what is plausible, the given-up ones included."""
        gap = (self.window - self.last).astype(np.float64)
        cost = self.rate * gap * self.window_s
        dense = self.rate * _LIMIT_S >= _COST
        known = (self.seen >= _KNOWN) & dense
        lasts = (gap >= _LEAST) & (gap > _LONGER * self.gap)
        missing: npt.NDArray[np.bool_] = known & (cost >= _COST) & lasts
        return missing | self.gone

    def ended(self, windows: int) -> npt.NDArray[np.bool_]:
        """Which bases have said nothing for more than ``windows``, and for well longer than ever before."""
        ended: npt.NDArray[np.bool_] = self.window - self.last > np.maximum(windows, _LONGER * self.gap)
        return ended

    def keep(self, places: Ints) -> None:
        """Let go of all bases but these, ascending."""
        self.load(self.window, {name: array[places] for name, array in self.arrays().items()})

    def findings(self, catalogue: Catalogue) -> tuple[list[Finding], list[Base]]:
        """What is to be told of this window's silences.

        Returns:
            Findings of silent bases (one for a slice that is silent altogether) and of those that are back,
            and the bases that are now taken to be gone for good.
        """
        back = np.flatnonzero((self.calm > 0) & (self.last == self.window))
        findings = [self._finding(catalogue.bases[place], place, alarm=False) for place in back.tolist()]
        retired = []
        fresh = np.flatnonzero(self.missing() & ~self.gone & _spoken_for(catalogue))
        for place in self._spokesmen(catalogue, fresh.tolist()):
            base, gap = catalogue.bases[place], int(self.window - self.last[place])
            severity, symptom = self._harm(catalogue, base, place, gap)
            self.pages[place] |= severity != "info"
            if gap > (_GIVEN_UP if self.pages[place] else _GONE):
                self.gone[place] = True
                if self.silent[place]:
                    retired.append(base)
                continue
            self.silent[place] = True
            findings.append(self._finding(base, place, alarm=True, severity=severity, symptom=symptom))
        return findings, retired

    def shortfalls(self, catalogue: Catalogue, index: Ints, value: Floats) -> list[Finding]:
        """Replicas that stay below what is desired for more than five minutes."""
        names = catalogue.names[1]
        counts = np.isin(catalogue.codes[index, 1], [names.get(READY, -2), names.get(DESIRED, -2)])
        at = dict(zip(index[counts].tolist(), value[counts].tolist(), strict=True))
        findings = []
        for place, ready in at.items():
            base = catalogue.bases[place]
            if base.signal == DESIRED:
                if ready < self.desired[place]:
                    self.fell[place] = self.window
                self.desired[place] = ready
                continue
            desired = at.get(catalogue.place(base._replace(signal=DESIRED)))
            if desired is None:
                continue
            self.short[place] = self.short[place] + 1 if ready < desired - 1e-9 else 0
            lasting = bool(self.short[place] * self.window_s > _SHORT_S)
            severity: Severity = "error" if ready <= desired / 2 else "warning"
            findings.append(
                Finding(
                    "shortfall",
                    base.series()[0],
                    DETECTOR,
                    alarm=lasting,
                    score=float(self.short[place] * self.window_s / 60.0),
                    threshold=_SHORT_S / 60.0,
                    p_value=None,
                    observed=ready,
                    expected=desired,
                    low=desired,
                    high=desired,
                    samples=int(self.short[place]),
                    direction=-1,
                    kind="degradation",
                    severity=severity,
                    symptom="deployment_failure",
                )
            )
        return findings

    def _spokesmen(self, catalogue: Catalogue, places: list[int]) -> list[int]:
        """Of slices that are silent in all their signals the leading base only; else all."""
        by_slice: dict[tuple[str, Any], list[int]] = {}
        for place in places:
            base = catalogue.bases[place]
            by_slice.setdefault((base.topic, base.slice), []).append(place)
        if not by_slice:
            return []
        alive = {
            (catalogue.bases[place].topic, catalogue.bases[place].slice)
            for place in np.flatnonzero(self.last == self.window).tolist()
        }
        chosen = []
        for owner, members in by_slice.items():
            if owner in alive:
                chosen.extend(members)
            else:
                told = [place for place in members if self.silent[place]]
                chosen.append(min(told or members, key=lambda place: _rank(catalogue.bases[place])))
        return chosen

    def _harm(self, catalogue: Catalogue, base: Base, place: int, gap: int) -> tuple[Severity, Symptom]:
        """Whether a silence pages, and as what."""
        expected = float(self.rate[place]) * gap * self.window_s
        if base.signal == COMPLETIONS:
            started = catalogue.place(base._replace(attribute=STARTED))
            # the newest arrivals may still be in flight
            if started >= 0 and self._sum(started, 1, gap - 1) >= max(8.0, 0.3 * expected * (gap - 1) / gap):
                return "error", "performance_degradation"
        ready = catalogue.place(base._replace(signal=READY))
        if ready >= 0 and self.short[ready] * self.window_s > _SHORT_S:
            return "error", "deployment_failure"
        carries = base.topic in _CARRIES and base.signal in _SPOKESMEN
        if not carries or self._scaled_in(catalogue, base, gap) or self._rolled_out(catalogue, base, gap):
            return "info", "telemetry_fault"
        parent = _parent(catalogue, base)
        if parent is None or gap > _RING // 2:
            return "info", "telemetry_fault"  # how it was before is not known any more
        after, before = self._sum(parent, 0, gap), self._sum(parent, gap, gap)
        lost = before - after
        # a parent that is silent itself has no part that is missing: it answers for itself
        alive = after >= _ALIVE * before
        shed = lost >= 0.5 * expected and lost >= _SIGNIFICANT * np.sqrt(before + after + 1.0)
        unasked = gap >= _VANISHED and "replica" in dict(base.slice) and self._asked(catalogue, base)
        return "warning" if alive and (shed or unasked) else "info", "telemetry_fault"

    def _asked(self, catalogue: Catalogue, base: Base) -> bool:
        """Whether it is known how many replicas of the service are asked for."""
        service = dict(base.slice).get("service")
        wanted = (each for each in catalogue.bases if each.signal == DESIRED)
        return any(dict(each.slice).get("service") == service for each in wanted)

    def _scaled_in(self, catalogue: Catalogue, base: Base, gap: int) -> bool:
        """Whether fewer replicas of the service were asked for about when the silence began."""
        service = dict(base.slice).get("service")
        asked = [
            place
            for place in np.flatnonzero(self.fell).tolist()
            if dict(catalogue.bases[place].slice).get("service") == service
        ]
        return any(self.window - self.fell[place] <= gap + _SCALING for place in asked)

    def _rolled_out(self, catalogue: Catalogue, base: Base, gap: int) -> bool:
        """Whether another version of the service speaks in the same place now, and spoke little before."""
        place = _unversioned(base)
        others = [
            other
            for other, its in enumerate(catalogue.bases)
            if its.signal == base.signal and its.slice != base.slice and _unversioned(its) == place
        ]
        width = min(gap, _RING // 2)
        return any(
            self.last[other] >= self.window - 1
            and self._sum(other, 0, width) > self._sum(other, width, width)
            for other in others
            if dict(catalogue.bases[other].slice).keys() == dict(base.slice).keys()
        )

    def _sum(self, place: int, skip: int, width: int) -> float:
        """Samples of a base over ``width`` windows, ``skip`` windows ago."""
        width = min(width, _RING - skip)
        steps = (self.window - skip - np.arange(max(width, 0))) % _RING
        return float(self.ring[place, steps].sum())

    def _finding(
        self,
        base: Base,
        place: int,
        *,
        alarm: bool,
        severity: Severity = "info",
        symptom: Symptom = "telemetry_fault",
    ) -> Finding:
        gap = int(self.window - self.last[place])
        cost = float(self.rate[place]) * gap * self.window_s
        rate = float(self.rate[place])
        return Finding(
            "absence",
            base.series()[0],
            DETECTOR,
            alarm=alarm,
            score=min(cost * math.log10(math.e), _CERTAIN),
            threshold=_COST * math.log10(math.e),
            p_value=max(math.exp(-cost), 1e-300),
            observed=0.0,
            expected=rate,
            low=rate,
            high=rate,
            samples=0,
            direction=-1,
            kind="missing_data",
            severity=severity,
            symptom=symptom,
            attributes=(("driftline.missing_windows", str(gap)),),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name, for the state codec."""
        names = (
            "last",
            "seen",
            "gap",
            "rate",
            "gone",
            "silent",
            "pages",
            "calm",
            "short",
            "desired",
            "fell",
            "ring",
        )
        return {name: getattr(self, name) for name in names}

    def load(self, window: int, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take over what `arrays` gave."""
        self.window = window
        for name, array in arrays.items():
            setattr(self, name, array)


def _unversioned(base: Base) -> tuple[str, str, Slice]:
    return base.topic, base.attribute, tuple(pair for pair in base.slice if pair[0] != "service_version")


def _rank(base: Base) -> tuple[int, Base]:
    known = _SPOKESMEN.index(base.signal) if base.signal in _SPOKESMEN else len(_SPOKESMEN)
    return known, base


def _spoken_for(catalogue: Catalogue) -> npt.NDArray[np.bool_]:
    """Bases whose silence says something: wholes, not parts that may simply not occur."""
    form = catalogue.form
    return ~np.isin(form, (Form.NONE, Form.SHARE, Form.PORTION))


def _parent(catalogue: Catalogue, base: Base) -> int | None:
    """Base of the nearest slice that this one is a part of."""
    narrow = tuple(pair for pair in base.slice if pair[0] in LEFT_OUT)
    wide = tuple(pair for pair in narrow if pair[0] != "service_version")
    wider = [base._replace(slice=slice_) for slice_ in (narrow, wide) if slice_ != base.slice]
    return next((place for parent in wider if (place := catalogue.place(parent)) >= 0), None)
