"""Known series that say nothing more: what is told of a silence, and whether it harms anyone."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.lifecycle.findings import Finding
from operators.series import Slice
from operators.shard import replicas
from operators.shard.catalogue import Base, Catalogue
from operators.shard.presence import COST, DETECTOR, RING, Presence
from operators.shard.slices import LEFT_OUT
from operators.shard.statistics import COMPLETIONS, HEARTBEAT, STARTED, Form
from schemas.outputs import Severity, Symptom

#: Windows after which a harmless or harmful silence is taken for good.
_GONE, _GIVEN_UP = 30, 1440
#: Standard deviations by which a parent must have lost what a silent part of it carried.
_SIGNIFICANT = 3.0
#: Share of its samples that a parent must go on with, for what it lost to be a part of it.
_ALIVE = 0.2
#: Windows after which a replica is missed for having gone unasked, where telemetry says how many are asked
#: for: what its siblings do tells little then, for load wanders more than one of several carries.
_VANISHED = 10
#: Topics whose samples carry requests: a scrape that ends takes nothing from anybody.
_CARRIES = frozenset({"telemetry.requests.v1", "otlp_spans"})
#: More is not said of any evidence (-log10 p).
_CERTAIN = 100.0
#: Which signal speaks for a slice that is silent altogether.
_SPOKESMEN = (COMPLETIONS, HEARTBEAT, "gen_ai.server.arrivals", replicas.READY)


def findings(presence: Presence, catalogue: Catalogue) -> tuple[list[Finding], list[Base]]:
    """What is to be told of this window's silences.

    Returns:
        Findings of silent bases (one for a slice that is silent altogether) and of those that are back,
        and the bases that are now taken to be gone for good.
    """
    back = np.flatnonzero((presence.calm > 0) & (presence.last == presence.window))
    findings = [_finding(presence, catalogue.bases[place], place, alarm=False) for place in back.tolist()]
    retired = []
    fresh = np.flatnonzero(presence.missing() & ~presence.gone & _spoken_for(catalogue))
    for place in _spokesmen(presence, catalogue, fresh.tolist()):
        base, gap = catalogue.bases[place], int(presence.window - presence.last[place])
        severity, symptom = _harm(presence, catalogue, base, place, gap)
        presence.pages[place] |= severity != "info"
        if gap > (_GIVEN_UP if presence.pages[place] else _GONE):
            presence.gone[place] = True
            if presence.silent[place]:
                retired.append(base)
            continue
        presence.silent[place] = True
        findings.append(_finding(presence, base, place, alarm=True, severity=severity, symptom=symptom))
    return findings, retired


def _spokesmen(presence: Presence, catalogue: Catalogue, places: list[int]) -> list[int]:
    """Of slices that are silent in all their signals the leading base only; else all."""
    by_slice: dict[tuple[str, Any], list[int]] = {}
    for place in places:
        base = catalogue.bases[place]
        by_slice.setdefault((base.topic, base.slice), []).append(place)
    if not by_slice:
        return []
    alive = {
        (catalogue.bases[place].topic, catalogue.bases[place].slice)
        for place in np.flatnonzero(presence.last == presence.window).tolist()
    }
    chosen = []
    for owner, members in by_slice.items():
        if owner in alive:
            chosen.extend(members)
        else:
            told = [place for place in members if presence.silent[place]]
            chosen.append(min(told or members, key=lambda place: _rank(catalogue.bases[place])))
    return chosen


def _harm(
    presence: Presence, catalogue: Catalogue, base: Base, place: int, gap: int
) -> tuple[Severity, Symptom]:
    """Whether a silence pages, and as what."""
    expected = float(presence.rate[place]) * gap * presence.window_s
    if base.signal == COMPLETIONS:
        started = catalogue.place(base._replace(attribute=STARTED))
        least = max(8.0, 0.3 * expected * (gap - 1) / gap)
        # the newest arrivals may still be in flight
        if started >= 0 and presence.samples(started, 1, gap - 1) >= least:
            return "error", "performance_degradation"
    ready = catalogue.place(base._replace(signal=replicas.READY))
    if ready >= 0 and replicas.are_short(presence, ready):
        return "error", "deployment_failure"
    carries = base.topic in _CARRIES and base.signal in _SPOKESMEN
    if (
        not carries
        or replicas.scaled_in(presence, catalogue, base, gap)
        or _rolled_out(presence, catalogue, base, gap)
    ):
        return "info", "telemetry_fault"
    parent = _parent(catalogue, base)
    if parent is None or gap > RING // 2:
        return "info", "telemetry_fault"  # how it was before is not known any more
    after, before = presence.samples(parent, 0, gap), presence.samples(parent, gap, gap)
    lost = before - after
    # a parent that is silent itself has no part that is missing: it answers for itself
    alive = after >= _ALIVE * before
    shed = lost >= 0.5 * expected and lost >= _SIGNIFICANT * np.sqrt(before + after + 1.0)
    unasked = gap >= _VANISHED and "replica" in dict(base.slice) and replicas.asked(catalogue, base)
    return "warning" if alive and (shed or unasked) else "info", "telemetry_fault"


def _rolled_out(presence: Presence, catalogue: Catalogue, base: Base, gap: int) -> bool:
    """Whether another version of the service speaks in the same place now, and spoke little before."""
    place = _unversioned(base)
    others = [
        other
        for other, its in enumerate(catalogue.bases)
        if its.signal == base.signal and its.slice != base.slice and _unversioned(its) == place
    ]
    width = min(gap, RING // 2)
    return any(
        presence.last[other] >= presence.window - 1
        and presence.samples(other, 0, width) > presence.samples(other, width, width)
        for other in others
        if dict(catalogue.bases[other].slice).keys() == dict(base.slice).keys()
    )


def _finding(
    presence: Presence,
    base: Base,
    place: int,
    *,
    alarm: bool,
    severity: Severity = "info",
    symptom: Symptom = "telemetry_fault",
) -> Finding:
    gap = int(presence.window - presence.last[place])
    cost = float(presence.rate[place]) * gap * presence.window_s
    rate = float(presence.rate[place])
    return Finding(
        "absence",
        base.series()[0],
        DETECTOR,
        alarm=alarm,
        score=min(cost * math.log10(math.e), _CERTAIN),
        threshold=COST * math.log10(math.e),
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
