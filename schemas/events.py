"""Anomaly events and incidents on the wire: JSON bodies, and the CloudEvents around them.

Times are RFC 3339 in UTC with milliseconds. A number that is not finite is ``null``. On Kafka an event is in
CloudEvents' binary mode (attributes in ``ce_`` headers, the body as value), in files in structured mode.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from cloudevents.core.bindings import kafka
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from msgspec import Meta, Struct

from schemas.identity import IDENTITY_FIELDS, OTEL_ATTRIBUTE, RESOURCE_PREFIXES
from schemas.outputs import (
    Action,
    AnomalyEvent,
    AnomalyKind,
    CalibrationSource,
    EventStatus,
    FailureKind,
    Incident,
    IncidentStatus,
    Layer,
    Severity,
    Suspect,
    Symptom,
)
from schemas.plans import prepare

Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Id = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]

ANOMALY_TYPE = "io.driftline.anomaly.v1"
INCIDENT_TYPE = "io.driftline.incident.v1"

_EPOCH = datetime.fromtimestamp(0, UTC)
_FIELD = {OTEL_ATTRIBUTE[field]: field for field in IDENTITY_FIELDS}
#: Attribute that says what suppressed a page, as a JSON list; absent when nothing did.
_SUPPRESSED_BY = "driftline.suppressed_by"


class AnomalyBody(Struct, frozen=True, kw_only=True):
    """The body of one revision of one anomaly event (``anomalies.v1``)."""

    event_id: Id
    fingerprint: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    revision: Annotated[int, Meta(ge=0)]
    status: EventStatus
    kind: AnomalyKind
    severity: Severity
    topic: str
    signal: str
    statistic: str
    side: str | None
    unit: str
    symptom: Symptom
    window_start: Timestamp
    window_end: Timestamp
    detected_at: Timestamp
    updated_at: Timestamp
    paged_at: Timestamp | None
    started_at: Timestamp
    detector: str
    detector_version: str
    score: float | None
    threshold: float | None
    p_value: float | None
    calibration: CalibrationSource
    config_hash: str
    baseline_value: float | None
    observed_value: float | None
    sample_count: Annotated[int, Meta(ge=0)]
    resource: dict[str, str]
    attributes: dict[str, str]
    exemplar_trace_ids: list[str]
    summary: str
    runbook_url: str
    dashboard_url: str


class IncidentBody(Struct, frozen=True, kw_only=True):
    """The body of one version of one incident (``incidents.v1``)."""

    incident_id: Id
    version: Annotated[int, Meta(ge=0)]
    status: IncidentStatus
    severity: Severity
    title: str
    started_at: Timestamp
    detected_at: Timestamp
    paged_at: Timestamp | None
    last_seen_at: Timestamp
    resolved_at: Timestamp | None
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
    affected: list[dict[str, str]]
    first_affected: dict[str, str]
    signals: list[str]
    event_ids: list[Id]
    suspects: list[Suspect]
    blast_radius: dict[str, float]
    merged_into: Id | None
    detected_by: str
    config_hash: str


prepare(AnomalyBody, IncidentBody)


def anomaly_body(event: AnomalyEvent) -> dict[str, Any]:
    """The wire body of an event; identity goes to ``resource`` and ``attributes`` under its OTel names."""
    tags = {OTEL_ATTRIBUTE[field]: value for field, value in event.identity.items()}
    resource = {name: value for name, value in tags.items() if name.startswith(RESOURCE_PREFIXES)}
    attributes = event.attributes | {k: v for k, v in tags.items() if k not in resource}
    if event.suppressed_by:
        attributes[_SUPPRESSED_BY] = msgspec.json.encode(event.suppressed_by).decode()
    return _body(
        AnomalyBody,
        event,
        times=("window_start", "window_end", "detected_at", "updated_at", "paged_at"),
        event_id=str(event.event_id),
        started_at=rfc3339(event.window_start),
        resource=resource,
        attributes=attributes,
    )


def incident_body(incident: Incident) -> dict[str, Any]:
    """The wire body of an incident."""
    return _body(
        IncidentBody,
        incident,
        times=("started_at", "detected_at", "paged_at", "last_seen_at", "resolved_at"),
        incident_id=str(incident.incident_id),
        event_ids=[str(event_id) for event_id in incident.event_ids],
        merged_into=None if incident.merged_into is None else str(incident.merged_into),
    )


def cloudevent_kafka(
    output: AnomalyEvent | Incident, pipeline: str = "driftline"
) -> tuple[bytes, list[tuple[str, bytes]], bytes]:
    """Key (fingerprint or incident id), headers and value of the Kafka record: CloudEvents binary mode."""
    message = kafka.to_binary(
        _cloudevent(output, pipeline), JSONFormat(), key_mapper=lambda e: e.get_subject()
    )
    return str(message.key).encode(), list(message.headers.items()), message.value


def cloudevent_json(output: AnomalyEvent | Incident, pipeline: str = "driftline") -> bytes:
    """One line, without its line break: CloudEvents structured mode."""
    return bytes(JSONFormat().write(_cloudevent(output, pipeline)))


def parse_anomaly(
    value: bytes, headers: Mapping[str, bytes] | Iterable[tuple[str, bytes]] = ()
) -> AnomalyEvent:
    """The event in a Kafka record's value and headers (either mode), or in a line of a file (no headers).

    Raises:
        msgspec.ValidationError: the body is not an anomaly event's.
        ValueError: this is no CloudEvent.
    """
    try:
        event = kafka.from_kafka(kafka.KafkaMessage(dict(headers), None, value), JSONFormat())
    except (CloudEventValidationError, AttributeError, TypeError) as error:
        raise ValueError(f"no CloudEvent: {error}") from error
    body = msgspec.convert(event.get_data(), AnomalyBody)
    tags = body.resource | body.attributes
    identity = {_FIELD[name]: tag for name, tag in tags.items() if name in _FIELD}
    fields = {name: getattr(body, name) for name in body.__struct_fields__} | {
        "identity": {field: identity[field] for field in IDENTITY_FIELDS if field in identity},
        "attributes": {k: v for k, v in tags.items() if k not in _FIELD and k != _SUPPRESSED_BY},
        "suppressed_by": msgspec.json.decode(tags.get(_SUPPRESSED_BY, "[]")),
    }
    for name in ("window_start", "window_end", "detected_at", "updated_at", "paged_at"):
        fields[name] = None if fields[name] is None else _unix_ms(fields[name])
    for name in ("score", "threshold", "baseline_value", "observed_value"):
        fields[name] = math.nan if fields[name] is None else fields[name]
    return msgspec.convert(fields, AnomalyEvent)


def rfc3339(time_ms: int) -> str:
    """Unix milliseconds as RFC 3339 in UTC, to the millisecond."""
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unix_ms(time: str) -> int:
    return (datetime.fromisoformat(time) - _EPOCH) // timedelta(milliseconds=1)


def _body(kind: type[Struct], output: Struct, times: tuple[str, ...], **given: Any) -> dict[str, Any]:
    values = {name: getattr(output, name) for name in output.__struct_fields__}
    values |= {name: None if values[name] is None else rfc3339(values[name]) for name in times}
    values |= given
    # by way of JSON: tuples become lists, and what is not finite null
    body: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode({name: values[name] for name in kind.__struct_fields__})
    )
    return body


def _cloudevent(output: AnomalyEvent | Incident, pipeline: str) -> CloudEvent:
    environment = quote(output.identity.get("environment", "default"), safe="")
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "source": f"//driftline/{environment}/{quote(pipeline, safe='')}",
        "datacontenttype": "application/json",
    }
    if isinstance(output, Incident):
        attributes |= {
            "type": INCIDENT_TYPE,
            "id": f"{output.incident_id}/{output.version}",
            "subject": str(output.incident_id),
            "time": _EPOCH + timedelta(milliseconds=output.last_seen_at),
        }
        if output.suspects:
            attributes["causationid"] = max(output.suspects, key=lambda suspect: suspect.score).change_id
        return CloudEvent(attributes, incident_body(output))
    attributes |= {
        "type": ANOMALY_TYPE,
        "id": f"{output.event_id}/{output.revision}",
        "subject": output.fingerprint,
        "time": _EPOCH + timedelta(milliseconds=output.updated_at),
    }
    return CloudEvent(attributes, anomaly_body(output))
