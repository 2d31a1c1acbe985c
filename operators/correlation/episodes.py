"""Episodes: the latest revision of each anomaly event, as correlation reads it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from schemas.outputs import AnomalyKind, EventStatus, Severity, Symptom

#: Severities in rising order.
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")


@dataclass(frozen=True, slots=True)
class Episode:
    """One anomaly event at its latest revision. Times are Unix ms of event time."""

    event_id: UUID
    fingerprint: str
    topic: str
    signal: str
    statistic: str
    side: str
    kind: AnomalyKind
    status: EventStatus
    severity: Severity
    symptom: Symptom
    start: int
    end: int
    detected: int
    paged: int | None
    updated: int
    score: float
    baseline: float
    observed: float
    identity: Mapping[str, str]
    suppressed: bool = False
    config_hash: str = ""
    summary: str = ""

    @property
    def rises(self) -> bool:
        """Whether the observed value lies above the baseline."""
        return self.observed >= self.baseline


@dataclass(frozen=True, slots=True)
class Topology:
    """What runs where, learnt from telemetry: replica → node, gpu → replica and the like.

    ``parents`` maps ``"gpu:G1"`` to its entities by field, as ``{"replica": "r1", "node": "n1"}``.
    """

    parents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, edges: Iterable[tuple[str, str]]) -> "Topology":
        """From ``("replica:r1", "node:n1")`` pairs; follows one more step (gpu → replica → node)."""
        direct: dict[str, dict[str, str]] = {}
        for source, target in edges:
            name, _, value = target.partition(":")
            direct.setdefault(source, {})[name] = value
        full = {}
        for source, targets in direct.items():
            found = dict(targets)
            for name, value in targets.items():
                for further, entity in direct.get(f"{name}:{value}", {}).items():
                    found.setdefault(further, entity)
            full[source] = found
        return cls(full)

    def expand(self, identity: Mapping[str, str]) -> dict[str, str]:
        """The identity with what its gpu and replica imply filled in; what it carries itself stands."""
        result = dict(identity)
        for name in ("gpu", "replica", "node"):
            if name in result:
                for further, entity in self.parents.get(f"{name}:{result[name]}", {}).items():
                    result.setdefault(further, entity)
        return result

    def values(self, name: str) -> frozenset[str]:
        """Every known entity of a field."""
        prefix = name + ":"
        found = {key[len(prefix) :] for key in self.parents if key.startswith(prefix)}
        found.update(targets[name] for targets in self.parents.values() if name in targets)
        return frozenset(found)


def episode(row: Mapping[str, Any]) -> Episode:
    """From a row of ``sql/episodes.sql``."""
    return Episode(
        event_id=UUID(str(row["event_id"])),
        fingerprint=str(row["fingerprint"]),
        topic=row["topic"],
        signal=row["signal"],
        statistic=row["statistic"],
        side=row["side"] or "",
        kind=cast(AnomalyKind, row["kind"]),
        status=cast(EventStatus, row["status"]),
        severity=cast(Severity, row["severity"]),
        symptom=cast(Symptom, row["symptom"]),
        start=int(row["start_ms"]),
        end=int(row["end_ms"]),
        detected=int(row["detected_ms"]),
        paged=None if row["paged_ms"] is None else int(row["paged_ms"]),
        updated=int(row["updated_ms"]),
        score=float(row["score"]),
        baseline=float(row["baseline_value"]),
        observed=float(row["observed_value"]),
        identity={key: value for key, value in dict(row["identity"]).items() if value},
        suppressed=bool(row["suppressed"]),
        config_hash=row["config_hash"],
        summary=row["summary"],
    )
