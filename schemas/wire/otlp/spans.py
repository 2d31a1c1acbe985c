"""OTLP spans: every span of an inference is a request that ended; its attributes are its fields."""

from collections import Counter
from typing import Any

from schemas.arrow import columns
from schemas.names.attributes import identity_of
from schemas.names.spans import SPAN_FIELDS, is_request, status_of
from schemas.wire.draft import Draft
from schemas.wire.json_rows import draft_of, row_of
from schemas.wire.otlp.attributes import Value, values_of
from schemas.wire.otlp.json import Span
from schemas.wire.otlp.samples import Samples, carries, each
from schemas.wire.reasons import Refused

_ERROR = (2, "2", "STATUS_CODE_ERROR")


def read_spans(request: Any, samples: Samples) -> Draft:
    """Walk an ``ExportTraceServiceRequest``, protobuf or its JSON twin, into a draft of requests."""
    rows = []
    for resource in each(request.resource_spans):
        around = values_of(each(resource.resource.attributes))
        for scope in each(resource.scope_spans):
            outer_text = carries(around, values_of(each(scope.scope.attributes)))
            for message in each(scope.spans):
                span = samples.next(message, Span, outer_text)
                if span is None:
                    continue
                attributes = values_of(each(span.attributes))
                parts = [values_of(each(part.attributes)) for part in (*each(span.events), *each(span.links))]
                if carries(attributes, *parts):
                    samples.refuse(message, "text_field", "an attribute that carries text")
                elif not is_request(attributes):
                    samples.ignore(span.name)
                else:
                    try:
                        rows.append(row_of("requests", _fields(span, {**around, **attributes}), Counter()))
                        samples.accept(message)
                    except Refused as refused:
                        samples.refuse(message, refused.reason, refused.detail)
    return draft_of("requests", rows, samples.rows())


def _fields(span: Any, attributes: dict[str, Value]) -> dict[str, Any]:
    """A span as the fields of a request."""
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if end <= 0:
        raise Refused("bad_time", "endTimeUnixNano: not set")
    found: dict[str, Any] = {
        "duration_s": (end - start) / 1e9 if start > 0 else None,
        "request_id": _hex(span.span_id),
        "trace_id": _hex(span.trace_id),
    }
    for field, names in SPAN_FIELDS.items():
        for name in (f"driftline.{field}", *names):
            value = attributes.get(name)
            if isinstance(value, tuple):  # finish_reasons: one for each choice, the first is the answer's
                value = value[0] if value and isinstance(value[0], str) else None
            if value is not None and value != "":
                found[field] = value
                break
    if columns("requests")["error_type"].high < len(str(found.get("error_type", ""))):
        found["error_type"] = "other"
    sequence = attributes.get("driftline.producer_seq")
    return {
        **found,
        **identity_of(attributes),
        "producer_seq": sequence,
        "event_time": end // 1_000_000,
        "status": status_of(span.status.code in _ERROR, _text(found.get("error_type"))),
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _hex(identifier: bytes | str) -> str | None:
    """Protobuf has an id as bytes, OTLP/JSON as hex."""
    text = identifier.hex() if isinstance(identifier, bytes) else identifier.lower()
    return text or None
