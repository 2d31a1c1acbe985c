"""The file sink: one line an event or refusal, whole lines only, and none twice."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.dead_letters import DeadLetter
from operators.emission import Emission
from operators.sinks import FileSink, SinkError
from operators.sinks.dead_letters import dlq_json
from schemas.events import incident_body, parse_anomaly
from schemas.outputs import AnomalyEvent
from tests.outputs import event, incident


def events_in(folder: Path, name: str = "part-0") -> list[AnomalyEvent]:
    return [
        parse_anomaly(line) for line in (folder / "anomalies.v1" / f"{name}.ndjson").read_bytes().splitlines()
    ]


def test_events_and_incidents_are_lines_of_their_topics(tmp_path: Path) -> None:
    sink = FileSink(tmp_path)
    sink.write(Emission(shard=0, events=(event(1), event(2))))
    sink.write_incidents([incident()])
    assert list(tmp_path.iterdir()) == []
    sink.flush()
    sink.write(Emission(shard=1, events=(event(3),)))
    sink.flush()
    assert events_in(tmp_path) == [event(1), event(2), event(3)]
    line = json.loads((tmp_path / "incidents.v1" / "part-0.ndjson").read_bytes())
    assert line["type"] == "io.driftline.incident.v1"
    assert line["data"] == incident_body(incident())


def test_a_replay_writes_no_line_twice(tmp_path: Path) -> None:
    for _ in range(2):
        sink = FileSink(tmp_path)
        for _ in range(2):
            sink.write(Emission(shard=0, events=(event(1), event(1, revision=1))))
            sink.flush()
    assert events_in(tmp_path) == [event(1), event(1, revision=1)]


def test_an_event_that_differs_is_written(tmp_path: Path) -> None:
    for score in (6.0, 7.0):
        sink = FileSink(tmp_path)
        sink.write(Emission(shard=0, events=(event(1, score=score),)))
        sink.flush()
    assert [found.score for found in events_in(tmp_path)] == [6.0, 7.0]


@given(cut=st.integers(0, 2000))
def test_a_line_that_a_crash_left_unfinished_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("out")
    written = [event(1), event(2), event(3)]
    sink = FileSink(folder)
    sink.write(Emission(shard=0, events=tuple(written)))
    sink.flush()
    path = folder / "anomalies.v1" / "part-0.ndjson"
    os.truncate(path, max(0, path.stat().st_size - cut))
    again = FileSink(folder)
    again.write(Emission(shard=0, events=tuple(written)))
    again.flush()
    assert events_in(folder) == written


def test_writers_with_names_of_their_own_share_a_folder(tmp_path: Path) -> None:
    for number, name in enumerate(("worker-0", "worker-1")):
        sink = FileSink(tmp_path, name=name)
        sink.write(Emission(shard=0, events=(event(number + 1),)))
        sink.flush()
    assert events_in(tmp_path, "worker-0") == [event(1)]
    assert events_in(tmp_path, "worker-1") == [event(2)]


def test_a_flush_that_fails_keeps_its_lines(tmp_path: Path) -> None:
    (tmp_path / "anomalies.v1").touch()  # in the way of the topic's folder
    sink = FileSink(tmp_path)
    sink.write(Emission(shard=0, events=(event(1),)))
    with pytest.raises(SinkError, match="cannot write"):
        sink.flush()
    (tmp_path / "anomalies.v1").unlink()
    sink.flush()
    assert events_in(tmp_path) == [event(1)]


def test_dead_letters_keep_bytes_only_where_they_are_given(tmp_path: Path) -> None:
    place = ("telemetry.gpu.v1", "telemetry.gpu.v1/0", 7, 3, "ab" * 32)
    letters = [
        DeadLetter("missing_field", "gpu", *place, value=b'{"a":\n 1}'),
        DeadLetter("broken_json", "at byte 2", *place),
        DeadLetter("broken_json", "at byte 2", *place),
        DeadLetter("broken_json", "at byte 1", *place, value=b"\xff"),
    ]
    sink = FileSink(tmp_path)
    sink.write_dead_letters(letters)
    sink.flush()
    lines = (tmp_path / "telemetry.gpu.v1.dlq" / "part-0.ndjson").read_bytes().splitlines()
    kept, bare, alike, base64 = map(json.loads, lines)
    assert kept["value"] == {"a": 1}
    assert bare == alike
    assert bare == {
        "reason": "broken_json",
        "detail": "at byte 2",
        "topic": "telemetry.gpu.v1",
        "partition": "telemetry.gpu.v1/0",
        "offset": 7,
        "length": 3,
        "sha256": "ab" * 32,
        "value": None,
    }
    assert base64["value_base64"] == "/w=="


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), st.integers(1, 4))
def test_a_dead_letter_is_one_line_however_its_value_is_laid_out(
    value: dict[str, object], indent: int
) -> None:
    laid_out = json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    line = dlq_json(DeadLetter("r", "d", "t", "t/0", 0, 1, "", laid_out))
    assert b"\n" not in line
    written = json.loads(line)
    assert "value_base64" in written or written["value"] == value
