"""Which incident answers which label: the rules of "scoring is by incident".

An incident is told in versions. What it was when it was raised decides whether it matches (its identity,
its time); what its last version says are its answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from pipelines.simulate.labels import Label
from schemas.outputs import Incident

#: A page may come this long after a label's end and still be about it.
GRACE_MS = 600_000
#: Fields that say too little to connect an incident with a label.
_COMMON = frozenset({"environment", "cluster"})
_SEVERITIES = ("info", "warning", "error", "critical")

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """One incident over all its versions; times in Unix ms."""

    incident_id: str
    detected_at: int
    paged_at: int | None
    severity: str
    merged: bool
    raised_identity: Mapping[str, Any]
    last: Body

    def raised_at(self, label: Label) -> int | None:
        """When it was raised, by the label's measure: a page, or for an ``info`` label any incident."""
        return self.detected_at if label.min_severity == "info" else self.paged_at


def told(versions: Iterable[Body | Incident]) -> list[Told]:
    """Incidents from their versions, in any order, as structs or as bodies with Unix ms or RFC 3339 times."""
    by_id: dict[str, list[Body]] = {}
    for each in versions:
        body = msgspec.to_builtins(each) if isinstance(each, Incident) else each
        by_id.setdefault(str(body["incident_id"]), []).append(body)
    return sorted(map(_one, by_id.values()), key=lambda one: (one.detected_at, one.incident_id))


def _one(versions: list[Body]) -> Told:
    versions = sorted(versions, key=lambda body: int(body.get("version", 0)))
    paged = [body for body in versions if body.get("paged_at") is not None]
    raised, last = (paged or versions)[0], versions[-1]
    return Told(
        incident_id=str(last["incident_id"]),
        detected_at=unix_ms(versions[0]["detected_at"]),
        paged_at=unix_ms(raised["paged_at"]) if paged else None,
        severity=max((str(body["severity"]) for body in versions), key=_SEVERITIES.index),
        merged=last["status"] == "merged",
        raised_identity=raised["identity"],
        last=last,
    )


def unix_ms(time: int | str) -> int:
    """Unix ms of a time given as such or as RFC 3339."""
    return time if isinstance(time, int) else round(datetime.fromisoformat(time).timestamp() * 1000)


def matches(incident: Told, label: Label) -> bool:
    """Whether an incident is about a label's fault."""
    raised = incident.raised_at(label)
    if label.is_control or incident.merged or raised is None:
        return False
    if not label.onset <= raised <= label.end + GRACE_MS:
        return False
    if _SEVERITIES.index(incident.severity) < _SEVERITIES.index(label.min_severity):
        return False
    if incident.paged_at is None and incident.last["symptom"] not in (label.symptom or ()):
        return False
    if not agree(incident.raised_identity, label.identity, ignored=_COMMON):
        return False
    return incident.paged_at is None or not any(hits(each, incident) for each in label.must_stay_silent)


def belongs(incident: Told, labels: Sequence[Label]) -> int | None:
    """Index of the label that an incident belongs to: of those it matches, the one with the latest onset."""
    fitting = [index for index, label in enumerate(labels) if matches(incident, label)]
    return max(fitting, key=lambda index: labels[index].onset, default=None)


def agree(one: Mapping[str, Any], other: Mapping[str, Any], *, ignored: frozenset[str] = frozenset()) -> bool:
    """Whether two maps of identity fields share a value in one that is not ignored, and differ in none."""
    both = one.keys() & other.keys()
    if any(not _values(one[name]) & _values(other[name]) for name in both):
        return False
    return bool(both - ignored)


def hits(matcher: Mapping[str, Any], page: Told) -> bool:
    """Whether a page carries all fields of a ``must_stay_silent`` matcher with these values.

    ``symptom`` and ``action`` are the page's answers; ``signal`` asks that all of its signals are listed;
    any other field is one of its identity as raised.
    """
    for name, value in matcher.items():
        wanted = _values(value)
        if name == "signal":
            if not set(page.last["signals"]) or not set(page.last["signals"]) <= wanted:
                return False
        elif name in ("symptom", "action"):
            if page.last[name] not in wanted:
                return False
        elif name not in page.raised_identity or not _values(page.raised_identity[name]) <= wanted:
            return False
    return True


def _values(value: Any) -> set[Any]:
    return set(value) if isinstance(value, (list, tuple, set)) else {value}
