"""Cumulative readings and XID codes, from samples to increments."""

from typing import Any

import pyarrow as pa
import pytest

from operators.emission import Emission
from operators.settings import Settings, Windows
from operators.shard import Shard
from tests.operators.shard.stream import START, deliveries

#: A window a bucket, so that a row tells of ten seconds.
SETTINGS = Settings(shards=1, windows=Windows(detect_s=10))
GPU = "telemetry.gpu.v1"


def emitted(readings: list[dict[str, Any]], attribute: str) -> dict[int, tuple[int, int]]:
    """Increments and their count by bucket offset (s), of one GPU's errors."""
    shard = Shard(0, SETTINGS)
    samples = [{"gpu": "GPU-1"} | r | {"event_time": START + r["event_time"] * 1000} for r in readings]
    messages = deliveries([[sample] for sample in samples], SETTINGS, form="gpu", topic=GPU)
    emissions: list[Emission] = [*[shard.receive(m) for m in messages], shard.finish()]
    table = pa.concat_tables([e.buckets for e in emissions if e.buckets is not None]).to_pylist()
    return {
        (row["bucket_start"] - START) // 1000: (row["sum"], row["count"])
        for row in table
        if row["signal"] == "hw.errors" and row["attribute"] == attribute
    }


def test_a_first_reading_gives_no_increment_and_a_reset_its_own_value() -> None:
    values = [(0, 100.0), (10, 103.0), (20, 103.0), (30, 2.0), (70, 5.0)]
    readings = [{"event_time": time, "ecc_corrected_total": value} for time, value in values]
    found = emitted(readings, "corrected")
    assert found == {0: (0, 0), 10: (3, 1), 20: (0, 1), 30: (2, 1), 70: (3, 1)}


def test_two_counters_in_one_slice_are_differenced_apart() -> None:
    readings = [
        {"event_time": time, "gpu": gpu, "ecc_corrected_total": value}
        for time, gpu, value in [(0, "A", 5.0), (0, "B", 900.0), (10, "A", 6.0), (10, "B", 1.0)]
    ]
    shard = Shard(0, SETTINGS)
    samples = [r | {"service": "s", "event_time": START + r["event_time"] * 1000} for r in readings]
    messages = deliveries([samples], SETTINGS, form="gpu", topic=GPU)
    tables = [shard.receive(message).buckets for message in messages] + [shard.finish().buckets]
    rows = [row for table in tables if table is not None for row in table.to_pylist()]
    whole = [r for r in rows if r["signal"] == "hw.errors" and r["gpu"] is None and r["bucket_start"] > START]
    assert [row["sum"] for row in whole] == [2]


@pytest.mark.parametrize(
    ("codes", "occurrences"),
    [
        ([0, 48, 48, 0, 48, 63], [0, 1, 0, 0, 1, 1]),
        ([79, 79, 79], [0, 0, 0]),
    ],
)
def test_an_xid_is_an_occurrence_when_it_changes(codes: list[int], occurrences: list[int]) -> None:
    readings = [{"event_time": 10 * place, "xid": code} for place, code in enumerate(codes)]
    found = emitted(readings, "xid")
    assert [found[10 * place][0] for place in range(len(codes))] == occurrences


def test_cumulative_histograms_become_log_histograms() -> None:
    shard = Shard(0, SETTINGS)
    samples = [
        {
            "event_time": START + place * 10_000,
            "service": "s",
            "signal": "gen_ai.server.time_to_first_token",
            "value": 0.0,
            "temporality": "cumulative",
            "hist_bounds": [0.1, 1.0],
            "hist_counts": [place, 4 * place, 0],
        }
        for place in range(3)
    ]
    topic = "telemetry.metrics.v1"
    messages = deliveries([samples], SETTINGS, form="metrics", topic=topic)
    tables = [shard.receive(message).buckets for message in messages] + [shard.finish().buckets]
    rows = [row for table in tables if table is not None for row in table.to_pylist()]
    later = [row for row in rows if row["bucket_start"] > START]
    assert {row["attribute"] for row in later} == {""}
    assert [row["count"] for row in later] == [5, 5]
    assert all(sum(row["bin_counts"]) == 5 for row in later)
