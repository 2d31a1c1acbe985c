"""Events on the wire: both CloudEvents modes give the same event back, and bodies fit their schema."""

import json
import math
from datetime import datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given

from schemas.events import (
    anomaly_body,
    cloudevent_json,
    cloudevent_kafka,
    incident_body,
    parse_anomaly,
    rfc3339,
)
from schemas.json_schema import schema
from schemas.outputs import AnomalyEvent, Incident, Suspect
from tests.outputs import T0, event, events, incidents, time

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
ANOMALY = jsonschema.Draft202012Validator(schema("anomalies.v1"))
INCIDENT = jsonschema.Draft202012Validator(schema("incidents.v1"))


@given(events)
def test_an_event_comes_back_from_both_modes(original: AnomalyEvent) -> None:
    _, headers, value = cloudevent_kafka(original)
    assert parse_anomaly(value, headers) == original
    line = cloudevent_json(original)
    assert b"\n" not in line
    assert parse_anomaly(line) == original


@given(events)
def test_anomaly_bodies_fit_their_schema(original: AnomalyEvent) -> None:
    body = anomaly_body(original)
    ANOMALY.validate(body)
    assert body["started_at"] == body["window_start"]
    assert all(
        name.startswith(("service.", "deployment.", "cloud.", "k8s.", "hw.")) for name in body["resource"]
    )
    assert all(name.startswith(("gen_ai.", "driftline.")) for name in body["attributes"])


@given(incidents)
def test_incident_bodies_fit_their_schema(incident: Incident) -> None:
    INCIDENT.validate(incident_body(incident))
    key, headers, value = cloudevent_kafka(incident)
    assert key == str(incident.incident_id).encode()
    assert json.loads(value) == incident_body(incident)
    assert dict(headers)["ce_id"] == f"{incident.incident_id}/{incident.version}".encode()


@given(time)
def test_times_are_rfc3339_to_the_millisecond(moment: int) -> None:
    written = rfc3339(moment)
    assert written.endswith("Z")
    assert len(written) == len("2026-01-05T00:00:00.000Z")
    assert round(datetime.fromisoformat(written).timestamp() * 1000) == moment


def test_kafka_headers_are_cloudevents_binary_mode() -> None:
    key, headers, _ = cloudevent_kafka(event(7, revision=3), pipeline="eu/1")
    assert key == b"0000000000000007"
    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_type": b"io.driftline.anomaly.v1",
        "ce_source": b"//driftline/production/eu%2F1",
        "ce_id": b"00000000-0000-0000-0000-000000000007/3",
        "ce_subject": b"0000000000000007",
        "ce_time": b"2026-01-05T00:01:30Z",
        "content-type": b"application/json",
    }


def test_an_incident_names_its_best_suspect_as_cause() -> None:
    template = json.loads((EXAMPLES / "incidents.v1" / "open.json").read_bytes())
    times = dict.fromkeys(("started_at", "detected_at", "paged_at", "last_seen_at"), 0)
    incident = msgspec.convert(template | times | {"suspects": []}, Incident)
    assert "ce_causationid" not in dict(cloudevent_kafka(incident)[1])
    suspects = tuple(Suspect(change_id=c, score=s, reasons=()) for c, s in (("a", 0.2), ("b", 0.9)))
    blamed = msgspec.structs.replace(incident, suspects=suspects)
    assert dict(cloudevent_kafka(blamed)[1])["ce_causationid"] == b"b"


def test_structured_mode_is_read_by_the_reference_library() -> None:
    line = cloudevent_json(event(7))
    read = kafka.from_structured(kafka.KafkaMessage({}, None, line), JSONFormat())
    assert read.get_type() == "io.driftline.anomaly.v1"
    assert read.get_data() == anomaly_body(event(7))


def test_what_is_not_finite_is_null_on_the_wire_and_no_number_when_read() -> None:
    body = anomaly_body(event(observed_value=math.nan, score=math.inf, p_value=None))
    assert (body["observed_value"], body["score"], body["p_value"]) == (None, None, None)
    back = parse_anomaly(cloudevent_json(event(observed_value=math.nan)))
    assert math.isnan(back.observed_value)


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"specversion":"1.0","id":"a"}'])
def test_what_is_no_anomaly_event_raises_value_errors(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_anomaly(value)


def test_a_body_that_lacks_a_field_is_refused_by_name() -> None:
    body = anomaly_body(event())
    del body["severity"]
    _, headers, _ = cloudevent_kafka(event())
    with pytest.raises(msgspec.ValidationError, match="severity"):
        parse_anomaly(msgspec.json.encode(body), headers)


def test_times_keep_their_order_as_text() -> None:
    assert rfc3339(T0 + 999) < rfc3339(T0 + 1000) < rfc3339(T0 + 60_000)
