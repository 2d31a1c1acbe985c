"""Hypothesis strategies for what driftline puts out."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from schemas import outputs
from schemas.identity import IDENTITY_FIELDS
from schemas.outputs import AnomalyEvent, AnomalyWindow, Incident, Suspect
from schemas.records import ChangeRecord, ChangeStatus, ChangeType

T0 = 1_767_571_200_000  # 2026-01-05T00:00Z

# any text but NUL and lone surrogates, which JSON and UTF-8 have no way to carry
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
name = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
# one long day, so that one test touches few of the daily partitions
time = st.integers(T0, T0 + 86_399_999)
number = st.floats(allow_nan=False, allow_infinity=False)
uuid = st.uuids(version=5)
identity = st.dictionaries(st.sampled_from(IDENTITY_FIELDS), name, max_size=6).map(
    lambda fields: {field: fields[field] for field in IDENTITY_FIELDS if field in fields}
)


def one_of(vocabulary: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(get_args(vocabulary))


events = st.builds(
    AnomalyEvent,
    event_id=uuid,
    fingerprint=st.integers(0, 2**64 - 1).map(lambda n: f"{n:016x}"),
    revision=st.integers(0, 2**32 - 1),
    status=one_of(outputs.EventStatus),
    kind=one_of(outputs.AnomalyKind),
    severity=one_of(outputs.Severity),
    topic=name,
    signal=name,
    statistic=name,
    unit=text,
    side=st.none() | st.sampled_from(["prompt", "output"]),
    window_start=time,
    window_end=time,
    detected_at=time,
    updated_at=time,
    paged_at=st.none() | time,
    detector=name,
    detector_version=name,
    score=number,
    threshold=number,
    p_value=st.none() | number,
    baseline_value=number,
    observed_value=number,
    sample_count=st.integers(0, 2**63 - 1),
    calibration=one_of(outputs.CalibrationSource),
    symptom=one_of(outputs.Symptom),
    config_hash=text,
    identity=identity,
    attributes=st.dictionaries(name.map(lambda key: f"driftline.x_{key}"), text, max_size=3),
    exemplar_trace_ids=st.lists(name, max_size=3).map(tuple),
    summary=text,
    runbook_url=text,
    dashboard_url=text,
    suppressed_by=st.lists(name, max_size=2).map(tuple),
)

windows = st.builds(
    AnomalyWindow,
    event_id=uuid,
    window_start=time,
    window_end=time,
    score=number,
    p_value=st.none() | number,
    observed_value=number,
    expected_low=number,
    expected_high=number,
    sample_count=st.integers(0, 2**63 - 1),
)

incidents = st.builds(
    Incident,
    incident_id=uuid,
    version=st.integers(0, 2**32),
    status=one_of(outputs.IncidentStatus),
    severity=one_of(outputs.Severity),
    title=text,
    started_at=time,
    detected_at=time,
    paged_at=st.none() | time,
    last_seen_at=time,
    resolved_at=st.none() | time,
    symptom=one_of(outputs.Symptom),
    layer=one_of(outputs.Layer),
    layer_probabilities=st.dictionaries(one_of(outputs.Layer), number, max_size=3),
    failure_kind=one_of(outputs.FailureKind),
    confidence=number,
    action=one_of(outputs.Action),
    action_reason=text,
    action_ref=st.none() | name,
    identity=identity,
    root=st.none() | identity,
    affected=st.lists(identity, max_size=3).map(tuple),
    first_affected=identity,
    signals=st.lists(name, max_size=3).map(tuple),
    event_ids=st.lists(uuid, max_size=3).map(tuple),
    suspects=st.lists(
        st.builds(Suspect, change_id=name, score=number, reasons=st.lists(name, max_size=2).map(tuple)),
        max_size=2,
    ).map(tuple),
    blast_radius=st.dictionaries(st.sampled_from(["requests", "tenants", "tokens"]), number),
    merged_into=st.none() | uuid,
    detected_by=name,
    config_hash=text,
)


@st.composite
def changes(draw: st.DrawFn) -> ChangeRecord:
    fields = ("status", "summary", "from_", "to", "rollback_ref", "author", "url", "expected", "ends_at")
    values: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(fields, name) | {
        "status": one_of(ChangeStatus),
        "expected": st.booleans(),
        "ends_at": time,
    }
    given: Iterable[str] = draw(st.sets(st.sampled_from(fields)))
    return ChangeRecord(
        event_time=draw(time),
        change_id=draw(name),
        change_type=draw(one_of(ChangeType)),
        **{field: draw(values[field]) for field in sorted(given)},
        **draw(identity),
    )


def event(number: int = 1, **other: Any) -> AnomalyEvent:
    """An event to hold a test's own wishes; ``number`` tells episodes apart."""
    fields: dict[str, Any] = {
        "event_id": UUID(int=number),
        "fingerprint": f"{number:016x}",
        "revision": 0,
        "status": "firing",
        "kind": "degradation",
        "severity": "warning",
        "topic": "telemetry.requests.v1",
        "signal": "gen_ai.server.time_to_first_token",
        "statistic": "p95",
        "unit": "s",
        "window_start": T0,
        "window_end": T0 + 60_000,
        "detected_at": T0 + 90_000,
        "updated_at": T0 + 90_000,
        "paged_at": T0 + 90_000,
        "detector": "cusum",
        "detector_version": "1",
        "score": 6.0,
        "threshold": 5.0,
        "p_value": 1e-6,
        "baseline_value": 0.2,
        "observed_value": 0.9,
        "sample_count": 100,
        "calibration": "empirical",
        "symptom": "performance_degradation",
        "config_hash": "c0ffee",
        "identity": {"environment": "production", "service": "chat", "request_model": "llama-70b"},
    }
    return AnomalyEvent(**fields | other)


def incident() -> Incident:
    """The example of an open incident."""
    example = Path(__file__).parents[1] / "schemas" / "examples" / "incidents.v1" / "open.json"
    times = dict.fromkeys(("started_at", "detected_at", "paged_at", "last_seen_at"), T0 + 34_200_000)
    return msgspec.convert(json.loads(example.read_bytes()) | times, Incident)
