"""Episodes: the latest revision of each anomaly event, as correlation reads it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from operators.lifecycle.meaning import Worse, meaning
from operators.series import SeriesKey
from schemas.outputs import AnomalyEvent, AnomalyKind, EventStatus, Severity, Symptom

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

    @property
    def worse(self) -> Worse:
        """Which way is worse (`operators.lifecycle.meaning`)."""
        slice_ = tuple(self.identity.items())
        key = SeriesKey(self.topic, self.signal, self.statistic, self.side or None, slice_, "gauge", "")
        return meaning(key).worse

    @property
    def improves(self) -> bool:
        """Whether it moved the way that is better."""
        return bool(self.worse) and (self.worse == 1) is not self.rises


@dataclass(frozen=True, slots=True)
class Topology:
    """What runs where, learnt from telemetry: replica → node, gpu → replica and the like.

    ``parents`` maps ``"gpu:G1"`` to its entities by field, as ``{"replica": "r1", "node": "n1"}``;
    ``places`` holds what telemetry spoke of: the values by (service, field); ``speakers`` the replicas that
    each producer speaks for.
    """

    parents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    places: Mapping[tuple[str | None, str], frozenset[str]] = field(default_factory=dict)
    speakers: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, edges: Iterable[tuple[str, str]], places: Iterable[tuple[str, str, str]] = ()) -> "Topology":
        """From ``("replica:r1", "node:n1")`` pairs, followed one more step (gpu → replica → node).

        Args:
            edges: what runs on what.
            places: (service, field, value) that telemetry spoke of.
        """
        direct: dict[str, dict[str, str]] = {}
        speakers: dict[str, set[str]] = {}
        scattered = set()
        for source, target in edges:
            name, _, value = target.partition(":")
            if source.startswith("producer:") and name == "replica":
                speakers.setdefault(source.partition(":")[2], set()).add(value)
                continue
            if source.startswith("producer:") and direct.get(source, {}).get(name, value) != value:
                scattered.add(source)  # a collector for several nodes runs on none of them
            direct.setdefault(source, {})[name] = value
        for source in scattered:
            del direct[source]
        full = {}
        for source, targets in direct.items():
            found = dict(targets)
            for name, value in targets.items():
                for further, entity in direct.get(f"{name}:{value}", {}).items():
                    found.setdefault(further, entity)
            full[source] = found
        known: dict[tuple[str | None, str], set[str]] = {}
        for service, name, value in places:
            known.setdefault((service, name), set()).add(value)
        return cls(
            full,
            {place: frozenset(values) for place, values in known.items()},
            {producer: frozenset(replicas) for producer, replicas in speakers.items()},
        )

    def expand(self, identity: Mapping[str, str]) -> dict[str, str]:
        """The identity with what its gpu and replica imply filled in; what it carries itself stands."""
        result = dict(identity)
        for name in ("gpu", "replica", "producer", "node"):
            if name in result:
                for further, entity in self.parents.get(f"{name}:{result[name]}", {}).items():
                    result.setdefault(further, entity)
        return result

    def speaker(self, silent: Iterable[str]) -> str | None:
        """The one producer all of whose replicas are among these; None if there is none, or another."""
        replicas = frozenset(silent)
        found = [producer for producer, its in self.speakers.items() if its <= replicas]
        return found[0] if len(found) == 1 else None

    def values(self, name: str, service: str | None = None) -> frozenset[str]:
        """Every known entity of a field, of one service where its places are known."""
        own = self.places.get((service, name))
        if own:
            return own
        prefix = name + ":"
        found = {key[len(prefix) :] for key in self.parents if key.startswith(prefix)}
        found.update(targets[name] for targets in self.parents.values() if name in targets)
        return frozenset(found)


def episode(event: AnomalyEvent) -> Episode:
    """The episode an event's latest revision tells of."""
    return Episode(
        event_id=event.event_id,
        fingerprint=event.fingerprint,
        topic=event.topic,
        signal=event.signal,
        statistic=event.statistic,
        side=event.side or "",
        kind=event.kind,
        status=event.status,
        severity=event.severity,
        symptom=event.symptom,
        start=event.window_start,
        end=event.window_end,
        detected=event.detected_at,
        paged=event.paged_at,
        updated=event.updated_at,
        score=event.score,
        baseline=event.baseline_value,
        observed=event.observed_value,
        identity=event.identity,
        suppressed=bool(event.suppressed_by),
        config_hash=event.config_hash,
        summary=event.summary,
    )
