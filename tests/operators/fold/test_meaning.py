"""What each form's samples mean in cells, and how values and histograms find their bins."""

import json
import math
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.cells import GAMMA, ZERO_BIN
from operators.fold import fold
from operators.fold.bins import bin_of
from operators.fold.histograms import attribute_of, bounds_of, spread
from operators.settings import Settings, Slicing
from schemas.chunk import Chunk
from schemas.signals import SIGNALS
from schemas.wire import FORMS, decode

START = 1_767_571_200_000
BUCKET = START - START % 10_000


def folded(topic, rows, **changed):
    body = b"\n".join(json.dumps({"event_time": START, "service": "chat"} | row).encode() for row in rows)
    decoded = decode(topic, body)
    assert decoded.accepted == len(rows), decoded.refused
    cells = fold(decoded.chunks, Settings(**changed)).to_pylist()
    return {
        (cell["signal"], cell["attribute"], *([cell["gpu"]] if cell["gpu"] else [])): cell for cell in cells
    }


def requests(*rows, **changed):
    numbered = [{"request_id": f"r{index}"} | row for index, row in enumerate(rows)]
    return folded("telemetry.requests.v1", numbered, **changed)


def total(cell):
    return cell["sum"] * SIGNALS[cell["signal"]].step


def test_a_start_is_an_arrival_and_nothing_else():
    cells = requests({"status": "started", "ttft_s": 1.0, "refused": True, "finish_reason": "stop"})
    assert set(cells) == {("gen_ai.server.arrivals", ""), ("gen_ai.server.completions", "started")}


def test_outcomes_stand_on_all_completions():
    statuses = ["ok", "ok", "error", "timeout", "cancelled", "started"]
    cells = requests(*({"status": status} for status in statuses))
    assert cells["gen_ai.server.completions", ""]["count"] == 5
    for signal in ("errors", "timeouts", "cancellations"):
        cell = cells[f"gen_ai.server.{signal}", ""]
        assert (cell["count"], total(cell), cell["bins"]) == (5, 1, [])


def test_latency_comes_from_ok_and_time_to_first_token_from_cancelled_too():
    fields = {"ttft_s": 0.5, "duration_s": 2.0, "output_tokens": 7}
    cells = requests(*({"status": status} | fields for status in ("ok", "error", "timeout", "cancelled")))
    assert cells["gen_ai.server.time_to_first_token", ""]["count"] == 2
    assert cells["gen_ai.server.request.duration", ""]["count"] == 1
    tokens = cells["gen_ai.usage.output_tokens", ""]
    assert (tokens["count"], total(tokens), tokens["min"], tokens["max"]) == (1, 7, 7.0, 7.0)
    assert sum(tokens["bin_counts"]) == 1


def test_shares_stand_on_the_responses_that_say():
    cells = requests(
        {"status": "ok", "finish_reason": "stop", "script_shares": {"latin": 1.0}},
        {"status": "ok", "finish_reason": "length", "script_shares": {"latin": 0.5, "han": 0.004}},
        {"status": "ok"},
        {"status": "error", "finish_reason": "stop", "error_type": "oom"},
    )
    share = "gen_ai.output.finish_reason_share"
    assert cells[share, ""]["count"] == 2
    assert total(cells[share, "length"]) == pytest.approx(1)
    script = "gen_ai.output.script_share"
    assert cells[script, ""]["count"] == 2
    assert total(cells[script, "share:latin"]) == pytest.approx(1.5)
    assert cells[script, "present:latin"]["count"] == 2
    assert (script, "present:han") not in cells
    assert total(cells["gen_ai.server.errors", "oom"]) == 1


def test_a_flag_is_a_ratio_of_those_that_carry_it():
    cells = requests(
        *({"status": "ok"} | ({} if flag is None else {"refused": flag}) for flag in (True, False, None))
    )
    cell = cells["gen_ai.output.refusal_ratio", ""]
    assert (cell["count"], total(cell)) == (2, pytest.approx(1))


def test_a_request_belongs_to_the_gpu_it_names_or_the_only_one_it_ran_on():
    cells = requests(
        {"status": "ok", "gpu": "a"},
        {"status": "ok", "gpus": ["b"]},
        {"status": "ok", "gpus": ["c", "d"]},
        {"status": "ok", "gpu": "a", "gpus": ["b"]},
    )
    counts = {key[2:]: cell["count"] for key, cell in cells.items() if key[0] == "gen_ai.server.completions"}
    assert counts == {("a",): 2, ("b",): 1, (): 1}


def test_scrapes_are_gauges_shares_and_readings():
    cells = folded(
        "telemetry.gpu.v1",
        [
            {"gpu": "g", "temperature_c": 61.5, "memory_used_bytes": 3, "memory_total_bytes": 4, "xid": 0},
            {
                "gpu": "g",
                "event_time": START + 1,
                "xid": 79,
                "ecc_corrected_total": 5,
                "throttle_reasons": [],
            },
            {"gpu": "g", "event_time": START + 2, "throttle_reasons": ["thermal", "thermal", "power"]},
        ],
    )
    assert total(cells["hw.temperature", "gpu", "g"]) == pytest.approx(61.5)
    assert total(cells["hw.gpu.memory.utilization", "", "g"]) == pytest.approx(0.75)
    xid = cells["hw.errors", "xid", "g"]
    assert (xid["point_times"], xid["point_values"], xid["count"], xid["sum"]) == (
        [START, START + 1],
        [0.0, 79.0],
        2,
        0,
    )
    assert cells["hw.errors", "corrected", "g"]["stream"] == xid["stream"] is not None
    assert cells["hw.gpu.throttle_time", "", "g"]["count"] == 2
    assert total(cells["hw.gpu.throttle_time", "share:thermal", "g"]) == pytest.approx(1)


def metrics(*rows):
    return folded("telemetry.metrics.v1", rows)


def test_metrics_fold_by_kind_and_temporality():
    cells = metrics(
        {"signal": "gen_ai.server.requests_running", "value": 4},
        {"signal": "gen_ai.server.arrivals", "value": 9},
        {"signal": "gen_ai.server.arrivals", "value": 2},
        {"signal": "gen_ai.server.preemptions", "value": 100},
        {"signal": "gen_ai.server.restarts", "value": 1, "temporality": "delta"},
        {"signal": "gen_ai.canary.match_ratio", "value": 0.75, "sample_count": 20},
        {"signal": "gen_ai.server.kv_cache_usage", "value": 0.5},
    )
    assert cells["gen_ai.server.requests_running", ""]["bin_counts"] == [1]
    assert total(cells["gen_ai.server.arrivals", ""]) == 11
    assert cells["gen_ai.server.preemptions", ""]["point_values"] == [100.0]
    assert total(cells["gen_ai.server.restarts", ""]) == pytest.approx(1)
    canary = cells["gen_ai.canary.match_ratio", ""]
    assert (canary["count"], total(canary), canary["bins"]) == (20, pytest.approx(15), [])
    assert cells["gen_ai.server.kv_cache_usage", ""]["bin_counts"] == [1]


def test_two_sources_in_one_cell_keep_their_readings_apart():
    cells = fold(
        decode(
            "telemetry.metrics.v1",
            b"".join(
                b'{"event_time":%d,"service":"chat","producer":"%s","signal":"producer.heartbeat","value":1}\n'
                % (START, who)
                for who in (b"a", b"b")
            ),
        ).chunks,
        Settings(),
    )
    assert len(set(cells.column("stream").to_pylist())) == 2


def histogram(temporality, counts, bounds=(0.1, 1.0), total_s=None):
    columns = {
        "event_time": pa.array([START]),
        "service": pa.array(["chat"]).dictionary_encode(),
        "signal": pa.array(["gen_ai.server.request.duration"]).dictionary_encode(),
        "temporality": pa.array([temporality]).dictionary_encode(),
        "hist_bounds": pa.array([list(bounds)], pa.list_(pa.float64())),
        "hist_counts": pa.array([list(counts)], pa.list_(pa.int64())),
        "hist_sum": pa.array([total_s], pa.float64()),
    }
    chunk = Chunk("otlp_metrics", "metrics", pa.RecordBatch.from_pydict(columns))
    return fold([chunk], Settings()).to_pylist()


def test_a_delta_histogram_becomes_a_distribution_and_a_cumulative_one_readings():
    (cell,) = histogram("delta", [3, 5, 2], total_s=6.5)
    assert (cell["count"], sum(cell["bin_counts"])) == (10, 10)
    assert total(cell) == pytest.approx(6.5)
    assert cell["max"] == 1.0
    readings = histogram("cumulative", [3, 5, 2])
    assert {bounds_of(cell["attribute"]) for cell in readings} == {
        (-math.inf, 0.1),
        (0.1, 1.0),
        (1.0, math.inf),
    }
    (mean,) = histogram("delta", [4], (), 2.0)
    assert (mean["count"], mean["min"], mean["bin_counts"]) == (4, 0.5, [4])


@given(st.floats(0, 1e6), st.floats(1e-6, 1e6), st.integers(0, 10**12))
def test_spreading_loses_no_count_and_stays_within_bounds(lower, width, count):
    bins, counts = spread(lower, lower + width, count)
    assert counts.sum() == count
    assert (counts > 0).all()
    if count and lower + width > lower:
        assert (np.diff(bins) > 0).all()
        assert GAMMA ** (bins[-1] - 1) <= (lower + width) * 1.0001
        assert bins[0] == ZERO_BIN or GAMMA ** bins[0] >= lower * 0.9999
    assert bounds_of(attribute_of(lower, lower + width)) == (lower, lower + width)


@given(st.lists(st.floats(-1e3, 1e300), min_size=1, max_size=40))
def test_a_bin_holds_its_value_wherever_it_stands(values):
    array = np.array(values)
    bins = bin_of(array)
    assert bins.tolist() == [int(bin_of(np.array([value]))[0]) for value in values]
    assert bins.tolist() == bin_of(np.repeat(array, 2)[::2]).tolist()
    for value, place in zip(values, bins.tolist(), strict=True):
        if value < 1e-9:
            assert place == ZERO_BIN
        else:
            assert GAMMA ** (place - 1) * (1 - 1e-9) < value <= GAMMA**place * (1 + 1e-9)


def test_sums_are_clipped_and_exact():
    cells = requests(*({"status": "ok", "output_tokens": 2**60} for _ in range(3)))
    assert cells["gen_ai.usage.output_tokens", ""]["sum"] == 3 * 2**53
    seconds = [0.1, 0.2, 0.3] * 7
    cells = requests(*({"status": "ok", "ttft_s": second} for second in seconds))
    assert cells["gen_ai.server.time_to_first_token", ""]["sum"] == reduce(
        lambda held, second: held + round(second * 1e6), seconds, 0
    )


@settings(max_examples=20)
@given(st.sets(st.sampled_from(["service", "replica", "region", "gpu"]), min_size=1))
def test_cells_are_as_fine_as_the_slices_ask(fields):
    slices = Slicing(sets=(tuple(sorted(fields)),))
    body = b"\n".join(
        b'{"event_time":%d,"service":"chat","request_id":"%d","status":"ok","replica":"r%d","region":"e%d"}'
        % (START, index, index % 3, index % 2)
        for index in range(12)
    )
    cells = fold(decode("telemetry.requests.v1", body).chunks, Settings(slices=slices))
    finest = (3 if "replica" in fields else 1) * (2 if "region" in fields else 1)
    assert cells.num_rows == finest * 4
    assert {"bucket": cells.column("bucket")[0].as_py()} == {"bucket": BUCKET}


def test_every_own_topic_has_a_form_and_only_three_fold():
    assert set(FORMS.values()) == {"requests", "embeddings", "gpu", "metrics", "changes"}
    assert fold([], Settings()).num_rows == 0
