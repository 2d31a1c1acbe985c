"""What leaves driftline: anomaly events, the windows behind them, and incidents.

Times are integer Unix milliseconds inside; on the wire they are RFC 3339 (`schemas.events` converts).
"""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from schemas.plans import prepare

AnomalyKind = Literal["drift", "spike", "degradation", "missing_data", "embedding_drift"]
EventStatus = Literal["firing", "resolved"]
Severity = Literal["info", "warning", "error", "critical"]
Symptom = Literal[
    "performance_degradation",
    "deployment_failure",
    "invalid_inference",
    "telemetry_fault",
    "input_shift",
]
Layer = Literal["hardware", "model", "operations", "none"]
FailureKind = Literal["reliability", "robustness", "mixed", "undetermined"]
CalibrationSource = Literal["empirical", "extrapolated", "prior"]
IncidentStatus = Literal["open", "acknowledged", "resolved", "merged"]
Action = Literal[
    "roll_back_build",
    "revert_prompt",
    "revert_config",
    "pin_version",
    "drain_node",
    "restart_replica",
    "reroute",
    "add_capacity",
    "rate_limit_tenant",
    "disable_cache",
    "re_evaluate",
    "fix_telemetry",
    "inform",
]


class AnomalyEvent(Struct, frozen=True, kw_only=True):
    """One revision of one episode of one series."""

    event_id: UUID
    fingerprint: str
    revision: int
    status: EventStatus
    kind: AnomalyKind
    severity: Severity
    topic: str
    signal: str
    statistic: str
    unit: str
    window_start: int
    window_end: int
    detected_at: int
    updated_at: int
    paged_at: int | None
    detector: str
    detector_version: str
    score: float
    threshold: float
    p_value: float | None
    baseline_value: float
    observed_value: float
    sample_count: int
    calibration: CalibrationSource
    symptom: Symptom
    config_hash: str
    identity: dict[str, str]
    side: str | None = None
    attributes: dict[str, str] = {}
    exemplar_trace_ids: tuple[str, ...] = ()
    summary: str = ""
    runbook_url: str = ""
    dashboard_url: str = ""
    suppressed_by: tuple[str, ...] = ()


class AnomalyWindow(Struct, frozen=True, kw_only=True):
    """The evidence: one firing window of an event."""

    event_id: UUID
    window_start: int
    window_end: int
    score: float
    p_value: float | None
    observed_value: float
    expected_low: float
    expected_high: float
    sample_count: int


class Suspect(Struct, frozen=True, kw_only=True):
    """A change that may have caused an incident."""

    change_id: str
    score: float
    reasons: tuple[str, ...]


class Incident(Struct, frozen=True, kw_only=True):
    """One version of one incident."""

    incident_id: UUID
    version: int
    status: IncidentStatus
    severity: Severity
    title: str
    started_at: int
    detected_at: int
    paged_at: int | None
    last_seen_at: int
    resolved_at: int | None
    symptom: Symptom
    layer: Layer
    layer_probabilities: dict[str, float]
    failure_kind: FailureKind
    confidence: float
    action: Action
    action_reason: str
    action_ref: str | None
    identity: dict[str, str]
    root: dict[str, str] | None
    affected: tuple[dict[str, str], ...]
    first_affected: dict[str, str]
    signals: tuple[str, ...]
    event_ids: tuple[UUID, ...]
    suspects: tuple[Suspect, ...]
    blast_radius: dict[str, float]
    merged_into: UUID | None = None
    detected_by: str = "driftline"
    config_hash: str = ""


prepare(AnomalyEvent, AnomalyWindow, Incident)
