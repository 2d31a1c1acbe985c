"""Correlation on the real engine: what is read, what is written, and what running it again does."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from operators.clickhouse import Store
from operators.correlation.engine import correlate
from schemas.outputs import AnomalyEvent, EventStatus
from schemas.records import ChangeRecord
from schemas.rows import changes_table, edges_table, events_table, read_incidents
from tests.operators.engine import fresh

MINUTE = 60_000
T0 = 1_767_571_200_000
BASE = {"service": "chat-api", "request_model": "llama-70b", "service_version": "v1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("correlation")


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with fresh(folder) as store:
        store.insert(
            "topology_edges",
            edges_table([("gpu:G1", "replica:r1", "serves"), ("gpu:G2", "replica:r2", "serves")], T0),
            "e",
        )
        change = ChangeRecord(
            event_time=T0 - 3 * MINUTE, change_id="c1", change_type="config", service="chat-api"
        )
        store.insert("change_revisions", changes_table([change]), "c")
        yield store


def event(
    number: int, signal: str, start: int, revision: int = 3, status: EventStatus = "resolved", **identity: str
) -> AnomalyEvent:
    onset, minutes = T0 + start * MINUTE, 20 if status == "resolved" else 4
    return AnomalyEvent(
        event_id=UUID(int=number),
        fingerprint=f"{number:016x}",
        revision=revision,
        status=status,
        kind="degradation",
        severity="warning",
        topic="telemetry.requests.v1",
        signal=signal,
        statistic="p95",
        unit="s",
        window_start=onset,
        window_end=onset + minutes * MINUTE,
        detected_at=onset + 90_000,
        updated_at=onset + minutes * MINUTE + 30_000,
        paged_at=onset + 90_000,
        detector="ewma",
        detector_version="1",
        score=6.0,
        threshold=4.0,
        p_value=1e-6,
        baseline_value=1.0,
        observed_value=2.0,
        sample_count=10,
        calibration="prior",
        symptom="performance_degradation",
        config_hash="x",
        identity=BASE | identity,
    )


def put(store: Store, *events: AnomalyEvent) -> None:
    store.insert(
        "anomaly_events", events_table(events), "/".join(f"{e.event_id}{e.revision}" for e in events)
    )


TTFT, CLOCK, QUEUE = "gen_ai.server.time_to_first_token", "hw.gpu.sm_clock", "gen_ai.server.queue_time"


def test_an_incident_is_told_as_raised_and_as_it_stands_with_its_suspect(store: Store) -> None:
    put(store, event(1, TTFT, 0), event(2, CLOCK, 1, gpu="G1"), event(3, QUEUE, 200, status="firing"))
    versions = correlate(store)
    first = [v for v in versions if v.event_ids[0] == UUID(int=1)]
    assert [v.version for v in first] == list(range(1, len(first) + 1))
    assert [len(v.event_ids) for v in first] == [1, 2]
    assert [v.status for v in first] == ["open", "resolved"]
    assert first[-1].suspects[0].change_id == "c1"
    assert {v.status for v in versions if v.event_ids == (UUID(int=3),)} == {"open"}
    stored = read_incidents(store.query("SELECT * FROM incidents FINAL"))
    assert {i.incident_id: i for i in stored} == {v.incident_id: v for v in versions}


def test_nothing_new_is_nothing_told(store: Store) -> None:
    put(store, event(1, TTFT, 0))
    assert correlate(store)
    assert correlate(store) == []


def test_an_incident_keeps_its_id_as_it_grows_and_ends(store: Store) -> None:
    put(store, event(1, TTFT, 0, revision=0, status="firing"))
    (opened,) = {v.incident_id for v in correlate(store)}
    put(store, event(2, QUEUE, 2, revision=0, status="firing"))
    grown = correlate(store)
    put(store, event(1, TTFT, 0), event(2, QUEUE, 2), event(9, TTFT, 400, service="other"))
    ended = [v for v in correlate(store) if v.incident_id == opened]
    assert {v.incident_id for v in grown} == {opened}
    assert ended[-1].status == "resolved"
    assert ended[-1].version > grown[-1].version
    assert ended[-1].resolved_at is not None


class WrittenMeanwhile:
    """A store that a run writes to between the first question of a pass and the next."""

    def __init__(self, store: Store, *events: AnomalyEvent) -> None:
        self._store, self._events = store, events

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        answer = self._store.query(sql, parameters)
        if self._events:
            put(self._store, *self._events)
            self._events = ()
        return answer

    def insert(self, table: str, rows: pa.Table, token: str) -> None:
        self._store.insert(table, rows, token)


def test_what_a_run_writes_during_a_pass_is_told_as_of_when_it_was_written(store: Store) -> None:
    put(store, event(1, TTFT, 0))
    late = event(2, TTFT, 400, status="firing", service="other")
    told = correlate(WrittenMeanwhile(store, late))
    incident = next(v for v in reversed(told) if late.event_id in v.event_ids)
    assert (incident.status, incident.paged_at) == ("open", late.paged_at)
    assert correlate(store) == []
