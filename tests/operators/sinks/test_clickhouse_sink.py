"""The ClickHouse sink on the real engine: everything comes back as it went in, once."""

import math
import uuid
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operators.cells import GAMMA
from operators.clickhouse import Store, StoreError
from operators.emission import Emission
from operators.sinks import ClickHouseSink
from schemas import rows, tables
from schemas.outputs import AnomalyEvent, AnomalyWindow, Incident
from schemas.records import ChangeRecord
from schemas.rows import Count
from tests.operators.engine import count
from tests.outputs import T0, changes, event, events, incidents, windows

real_engine = settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def bucket(start: int, *, signal: str = "gen_ai.server.time_to_first_token", **other: Any) -> dict[str, Any]:
    row = {"bucket_start": start, "bucket_s": 10, "topic": "telemetry.requests.v1", "signal": signal}
    row |= {"attribute": "", "count": 3, "sum": 600_000, "min": 0.1, "max": 0.3}
    return row | {"bins": [-60, -40], "bin_counts": [1, 2], "service": "chat", "request_model": "m"} | other


def buckets(*given_rows: dict[str, Any]) -> pa.Table:
    """As a shard makes them: int64 times, dictionary strings, only the identity fields its slices have."""
    table = pa.Table.from_pylist(list(given_rows))
    for name in ("signal", "service", "request_model"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].dictionary_encode())
    return table


class Refusing(Store):
    """A store whose inserts into some tables fail, as if the server were away."""

    def __init__(self, store: Store):
        super().__init__(store.address, store._client, lambda: None)
        self.refused: set[str] = set()
        self.tokens: list[str] = []

    def insert(self, table: str, rows: pa.Table, token: str) -> None:
        self.tokens.append(token)
        if table in self.refused:
            raise StoreError(f"insert into {table} refused")
        super().insert(table, rows, token)


@real_engine
@given(st.lists(events, min_size=1, max_size=4, unique_by=lambda e: e.event_id))
def test_events_come_back_as_they_went_in(store: Store, written: list[AnomalyEvent]) -> None:
    store.command("TRUNCATE TABLE anomaly_events")
    store.insert("anomaly_events", rows.events_table(written), str(uuid.uuid4()))
    found = rows.read_events(store.query("SELECT * FROM anomaly_events FINAL"))
    assert sorted(found, key=lambda e: e.event_id) == sorted(written, key=lambda e: e.event_id)


@real_engine
@given(st.lists(windows, min_size=1, max_size=4, unique_by=lambda w: w.event_id))
def test_windows_come_back_as_they_went_in(store: Store, written: list[AnomalyWindow]) -> None:
    store.command("TRUNCATE TABLE anomaly_windows")
    store.insert("anomaly_windows", rows.windows_table(written), str(uuid.uuid4()))
    found = rows.read_windows(store.query("SELECT * FROM anomaly_windows FINAL"))
    assert sorted(found, key=lambda w: w.event_id) == sorted(written, key=lambda w: w.event_id)


@real_engine
@given(st.lists(incidents, min_size=1, max_size=4, unique_by=lambda i: i.incident_id))
def test_incidents_come_back_as_they_went_in(store: Store, written: list[Incident]) -> None:
    store.command("TRUNCATE TABLE incidents")
    store.insert("incidents", rows.incidents_table(written), str(uuid.uuid4()))
    found = rows.read_incidents(store.query("SELECT * FROM incidents FINAL"))
    assert sorted(found, key=lambda i: i.incident_id) == sorted(written, key=lambda i: i.incident_id)


@real_engine
@given(changes())
def test_a_change_comes_back_field_by_field(store: Store, change: ChangeRecord) -> None:
    store.command("TRUNCATE TABLE change_revisions")
    store.insert("change_revisions", rows.changes_table([change]), str(uuid.uuid4()))
    found = store.query("SELECT * EXCEPT (ingested_at) FROM change_revisions").to_pylist()
    assert found == rows.changes_table([change]).to_pylist()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2, 1)])
def test_revisions_of_a_change_merge_in_any_order(store: Store, order: tuple[int, ...]) -> None:
    revisions = [
        ChangeRecord(
            event_time=T0, change_id="c", change_type="deployment", status="started", service="chat"
        ),
        ChangeRecord(event_time=T0 + 1, change_id="c", change_type="deployment", summary="v12", author="a"),
        ChangeRecord(
            event_time=T0 + 2,
            change_id="c",
            change_type="deployment",
            status="failed",
            author="b",
            expected=True,
        ),
    ]
    sink = ClickHouseSink(store, "hash")
    for place in order:
        sink.write(Emission(shard=0, changes=(revisions[place],)))
        sink.flush()
    (merged,) = store.query("SELECT * FROM change_events").to_pylist()
    assert merged["occurred_at"].timestamp() * 1000 == T0
    assert merged["updated_at"].timestamp() * 1000 == T0 + 2
    expected = {"status": "failed", "summary": "v12", "author": "b", "service_name": "chat", "expected": True}
    assert {name: merged[name] for name in expected} == expected
    assert merged["ends_at"] is None


def test_a_change_without_a_status_succeeded(store: Store) -> None:
    sink = ClickHouseSink(store, "hash")
    sink.write(Emission(shard=0, changes=(ChangeRecord(event_time=T0, change_id="c", change_type="config"),)))
    sink.flush()
    assert store.query("SELECT status, expected FROM change_events").to_pylist() == [
        {"status": "succeeded", "expected": False}
    ]


def test_buckets_keep_their_sketch_and_say_their_slice(store: Store) -> None:
    sink = ClickHouseSink(store, "hash")
    sink.write(
        Emission(shard=0, buckets=buckets(bucket(T0), bucket(T0, service="embed", min=None, max=None)))
    )
    sink.flush()
    found = store.query(
        "SELECT service_name, samples, sum_steps, value_sum, value_min, bins, bin_counts, unit, slice "
        "FROM signal_buckets FINAL ORDER BY service_name"
    ).to_pylist()
    assert found[0] == {
        "service_name": "chat",
        "samples": 3,
        "sum_steps": 600_000,
        "value_sum": pytest.approx(0.6),
        "value_min": 0.1,
        "bins": [-60, -40],
        "bin_counts": [1, 2],
        "unit": "s",
        "slice": "service,request_model",
    }
    assert found[1]["value_min"] is None


def test_the_minute_rollup_adds_buckets_and_reads_quantiles_off_the_histogram(store: Store) -> None:
    values = [0.1 * 1.3**n for n in range(20)]
    bins = [int(-(-math.log(value) // math.log(GAMMA))) for value in values]
    made = [bucket(T0 + 10_000 * n, bins=[b], bin_counts=[1], count=1, sum=1) for n, b in enumerate(bins[:6])]
    made.append(bucket(T0 + 50_000, attribute="x", bins=sorted(bins), bin_counts=[1] * 20, count=20))
    sink = ClickHouseSink(store, "hash")
    sink.write(Emission(shard=0, buckets=buckets(*made)))
    sink.flush()
    sink.write(Emission(shard=1, buckets=buckets(*made)))  # a replay batched otherwise
    sink.flush()
    whole, part = store.query("SELECT * FROM signal_rollup_1m ORDER BY attribute").to_pylist()
    assert whole["samples"] == 6
    assert part["p50"] == pytest.approx(values[9], rel=0.03)
    assert part["p95"] == pytest.approx(values[18], rel=0.03)
    assert part["p99"] == pytest.approx(values[19], rel=0.03)


def test_a_signal_without_histogram_has_no_quantiles(store: Store) -> None:
    sink = ClickHouseSink(store, "hash")
    sink.write(Emission(shard=0, buckets=buckets(bucket(T0, bins=[], bin_counts=[]))))
    sink.flush()
    (row,) = store.query("SELECT p50, samples FROM signal_rollup_1m").to_pylist()
    assert row == {"p50": None, "samples": 3}


def test_the_same_emission_again_adds_no_row(store: Store) -> None:
    emission = Emission(
        shard=2,
        first_ms=T0,
        last_ms=T0,
        events=(event(1), event(2)),
        windows=(
            AnomalyWindow(
                event_id=uuid.UUID(int=1),
                window_start=T0,
                window_end=T0,
                score=1.0,
                p_value=None,
                observed_value=1.0,
                expected_low=0.0,
                expected_high=2.0,
                sample_count=1,
            ),
        ),
        buckets=buckets(bucket(T0)),
        changes=(ChangeRecord(event_time=T0, change_id="c", change_type="config"),),
        edges=(("chat", "node-1", "runs_on"),),
    )
    for _ in range(2):
        sink = ClickHouseSink(store, "hash")
        sink.write(emission)
        sink.flush()
    expected = {
        "anomaly_events": 2,
        "anomaly_windows": 1,
        "signal_buckets": 1,
        "change_revisions": 1,
        "topology_edges": 1,
    }
    assert {table: count(store, table) for table in expected} == expected


def test_other_rows_of_the_same_range_are_never_dropped(store: Store) -> None:
    for service in ("chat", "embed"):
        sink = ClickHouseSink(store, "hash")
        sink.write(Emission(shard=0, first_ms=T0, last_ms=T0, buckets=buckets(bucket(T0, service=service))))
        sink.flush()
    assert count(store, "signal_buckets") == 2


def test_a_failed_flush_keeps_its_batch_and_its_token(store: Store) -> None:
    refusing = Refusing(store)
    sink = ClickHouseSink(refusing, "hash")
    refusing.refused = {"anomaly_events"}
    sink.write(Emission(shard=0, events=(event(1),), buckets=buckets(bucket(T0))))
    with pytest.raises(StoreError, match="anomaly_events"):
        sink.flush()
    assert count(store, "signal_buckets") == 1
    sink.write(Emission(shard=0, events=(event(2),)))
    with pytest.raises(StoreError, match="anomaly_events"):
        sink.flush()
    assert count(store, "anomaly_events") == 0
    refusing.refused = set()
    sink.flush()
    sink.flush()
    assert count(store, "anomaly_events") == 2
    assert count(store, "signal_buckets") == 1
    failed, again, taken = refusing.tokens[1:4]
    assert failed == again == taken


def test_many_rows_flush_by_themselves(store: Store) -> None:
    sink = ClickHouseSink(store, "hash", batch_rows=3)
    sink.write(Emission(shard=0, events=(event(1), event(2))))
    assert count(store, "anomaly_events") == 0
    sink.write(Emission(shard=0, events=(event(3),)))
    assert count(store, "anomaly_events") == 3


def test_running_totals_replace_their_earlier_ones(store: Store) -> None:
    sink = ClickHouseSink(store, "hash")
    for revision, accepted in ((1, 10), (2, 25), (2, 25)):
        sink.write_accounts("run-1", revision, [Count("telemetry.gpu.v1", "accepted", "", accepted)])
        sink.flush()
    sink.write_accounts("run-2", 1, [Count("telemetry.gpu.v1", "accepted", "", 5)])
    sink.flush()
    answer = store.query("SELECT run_id, samples FROM ingest_accounts FINAL ORDER BY run_id").to_pylist()
    assert answer == [{"run_id": "run-1", "samples": 25}, {"run_id": "run-2", "samples": 5}]


def test_events_read_as_opentelemetry_logs(store: Store) -> None:
    store.insert("anomaly_events", rows.events_table([event(1, summary="TTFT up")]), "a")
    (log,) = store.query("SELECT * FROM anomaly_events_otel").to_pylist()
    assert (log["SeverityText"], log["SeverityNumber"], log["ServiceName"]) == ("WARNING", 13, "chat")
    assert log["Body"] == "TTFT up"
    assert dict(log["ResourceAttributes"]) == {
        "service.name": "chat",
        "deployment.environment.name": "production",
    }


def test_fingerprints_keep_every_bit(store: Store) -> None:
    loud = msgspec.structs.replace(event(1), fingerprint="fedcba9876543210")
    store.insert("anomaly_events", rows.events_table([loud]), "a")
    answer = store.query("SELECT lower(leftPad(hex(fingerprint), 16, '0')) AS wire FROM anomaly_events")
    assert answer["wire"].to_pylist() == ["fedcba9876543210"]


def test_a_bucket_row_needs_no_column_that_no_slice_uses() -> None:
    assert rows.bucket_rows(buckets(bucket(T0))).schema == tables.BUCKET_ROWS
    assert rows.bucket_rows(tables.BUCKETS.empty_table()).num_rows == 0
