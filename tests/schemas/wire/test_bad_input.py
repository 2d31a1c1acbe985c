"""Bad samples are refused one by one with a reason, and leave neither text nor vectors behind."""

import hashlib
import json
import math
import pickle
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.chunk import Decoded, Form
from schemas.names.text import TEXT_FIELDS
from schemas.wire import TOPICS, decode
from schemas.wire.reasons import MAX_BYTES
from tests.arrow import stream
from tests.schemas.wire.samples import FORMS, NOW_MS, TOPIC, rows, samples
from tests.schemas.wire.test_round_trip import file

REQUESTS = "telemetry.requests.v1"
GOOD: dict[Form, dict[str, Any]] = {
    "requests": {"event_time": NOW_MS, "service": "s", "request_id": "r", "status": "ok"},
    "embeddings": {
        "event_time": NOW_MS,
        "service": "s",
        "request_id": "r",
        "side": "output",
        "embedder_version": "e",
        "dim": 2,
        "vector": "AACAPwAAgD8=",
    },
    "gpu": {"event_time": NOW_MS, "gpu": "GPU-1"},
    "metrics": {"event_time": NOW_MS, "service": "s", "signal": "hw.power", "value": 1.0},
    "changes": {"event_time": NOW_MS, "service": "s", "change_id": "c", "change_type": "config"},
}
SECRET = "zq-the-secret-text-qz"


def one(form: Form, **fields: Any) -> Decoded:
    return decode(TOPIC[form], json.dumps(GOOD[form] | fields).encode())


def table(form: Form, count: int = 1, **columns: pa.Array) -> pa.Table:
    held = {name: pa.array([value] * count) for name, value in GOOD[form].items() if name != "vector"}
    if form == "embeddings":
        held["vector"] = pa.array([[1.0, 1.0]] * count, pa.list_(pa.float32(), 2))
    return pa.table(held | columns)


def reasons(decoded: Decoded) -> list[str]:
    return [refusal.reason for refusal in decoded.refused]


BAD_FIELDS: list[tuple[Form, dict[str, Any], str]] = [
    ("requests", {"ttft_s": -0.1}, "out_of_range"),
    ("requests", {"duration_s": "1"}, "wrong_type"),
    ("requests", {"service": None}, "missing_field"),
    ("requests", {"service": ""}, "out_of_range"),
    ("requests", {"service": "x y" * 400}, "out_of_range"),
    ("requests", {"service": 3}, "wrong_type"),
    ("requests", {"status": SECRET}, "unknown_value"),
    ("requests", {"output_tokens": 1.5}, "wrong_type"),
    ("requests", {"output_tokens": True}, "wrong_type"),
    ("requests", {"output_tokens": 2**63}, "out_of_range"),
    ("requests", {"producer_seq": 2**63}, "out_of_range"),
    ("requests", {"top1_probability": 1.01}, "out_of_range"),
    ("requests", {"script_shares": {"latin": 1.5}}, "out_of_range"),
    ("requests", {"gpus": ["a", 1]}, "wrong_type"),
    ("requests", {"event_time": "2026-01-05T00:00:00"}, "bad_time"),
    ("requests", {"event_time": "yesterday"}, "bad_time"),
    ("requests", {"event_time": 1.5}, "bad_time"),
    ("requests", {"event_time": 10**15}, "bad_time"),
    ("requests", {"event_time": 10**30}, "out_of_range"),
    ("embeddings", {"dim": 3}, "bad_vector"),
    ("embeddings", {"dim": 0}, "out_of_range"),
    ("embeddings", {"dtype": "f16"}, "bad_vector"),
    ("embeddings", {"dtype": "f64"}, "unknown_value"),
    ("embeddings", {"vector": "not base64"}, "bad_vector"),
    ("embeddings", {"vector": [1.0, 1.0]}, "wrong_type"),
    ("embeddings", {"vector": "AADAfwAAgD8="}, "not_finite"),
    ("embeddings", {"vector": "AACAfwAAgD8="}, "not_finite"),
    ("embeddings", {"vector": None}, "missing_field"),
    ("gpu", {"gpu": None}, "missing_field"),
    ("gpu", {"utilization": 50}, "out_of_range"),
    ("gpu", {"DCGM_FI_DEV_GPU_UTIL": "full"}, "wrong_type"),
    ("metrics", {"signal": "nothing.known"}, "unknown_signal"),
    ("metrics", {"signal": "gen_ai.output.embedding"}, "unknown_signal"),
    ("metrics", {"signal": "gen_ai.server.kv_cache_usage", "value": 1.2}, "out_of_range"),
    ("metrics", {"value": -1}, "out_of_range"),
    ("metrics", {"temporality": "sometimes"}, "unknown_value"),
    ("changes", {"service": None}, "missing_field"),
    ("changes", {"change_type": "whim"}, "unknown_value"),
]


@pytest.mark.parametrize(("form", "fields", "reason"), BAD_FIELDS)
def test_a_bad_field_refuses_its_sample_alone(form: Form, fields: dict[str, Any], reason: str) -> None:
    bad = json.dumps(GOOD[form] | fields).encode()
    good = json.dumps(GOOD[form]).encode()
    decoded = decode(TOPIC[form], b"\n".join([good, bad, good]))
    assert reasons(decoded) == [reason]
    assert sorted(rows(decoded.chunks)) == [0, 2]
    assert decoded.samples == 3
    refusal = decoded.refused[0]
    assert (refusal.length, refusal.sha256) == (len(bad), hashlib.sha256(bad).hexdigest())
    assert refusal.value == (None if form == "embeddings" and "vector" in fields | GOOD[form] else bad)
    assert SECRET not in refusal.detail


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_json_has_no_such_numbers(literal: str) -> None:
    line = json.dumps(GOOD["requests"])
    bad = line[:-1] + f', "ttft_s": {literal}}}'
    decoded = decode(REQUESTS, f"{line}\n{bad}\n{line}".encode())
    assert reasons(decoded) == ["not_json"]
    assert decoded.accepted == 2


BAD_COLUMNS: list[tuple[Form, dict[str, pa.Array], str]] = [
    ("requests", {"ttft_s": pa.array([math.nan])}, "not_finite"),
    ("requests", {"ttft_s": pa.array([math.inf])}, "not_finite"),
    ("requests", {"ttft_s": pa.array([-math.inf])}, "not_finite"),
    ("requests", {"ttft_s": pa.array([-1.0])}, "out_of_range"),
    ("requests", {"ttft_s": pa.array(["1"])}, "wrong_type"),
    ("requests", {"ttft_s": pa.array([1]).cast(pa.decimal128(38))}, "wrong_type"),
    ("requests", {"top1_probability": pa.array([1.1], pa.float32())}, "out_of_range"),
    ("requests", {"output_tokens": pa.array([1.5])}, "wrong_type"),
    ("requests", {"output_tokens": pa.array([2**64 - 1], pa.uint64())}, "out_of_range"),
    ("requests", {"output_tokens": pa.array([1e30])}, "out_of_range"),
    ("requests", {"output_tokens": pa.array([math.nan])}, "not_finite"),
    ("requests", {"status": pa.array(["fine"])}, "unknown_value"),
    ("requests", {"service": pa.array([None], pa.utf8())}, "missing_field"),
    ("requests", {"service": pa.array([b"s"])}, "wrong_type"),
    ("requests", {"service": pa.array([""])}, "out_of_range"),
    ("requests", {"refused": pa.array([1])}, "wrong_type"),
    ("requests", {"gpus": pa.array([["a", None]])}, "wrong_type"),
    ("requests", {"gpus": pa.array([["a", ""]])}, "wrong_type"),
    (
        "requests",
        {"script_shares": pa.array([[("latin", 2.0)]], pa.map_(pa.utf8(), pa.float32()))},
        "out_of_range",
    ),
    ("requests", {"event_time": pa.array([NOW_MS]).cast(pa.timestamp("ms"))}, "bad_time"),
    ("requests", {"event_time": pa.array([2**62]).cast(pa.timestamp("s", "UTC"))}, "bad_time"),
    ("requests", {"event_time": pa.array(["2026-01-05T00:00:00Z"])}, "wrong_type"),
    ("embeddings", {"dim": pa.array([3])}, "bad_vector"),
    ("embeddings", {"dtype": pa.array(["f16"])}, "bad_vector"),
    ("embeddings", {"vector": pa.array([[1.0, math.nan]], pa.list_(pa.float32(), 2))}, "not_finite"),
    ("embeddings", {"vector": pa.array([[1.0, None]], pa.list_(pa.float32(), 2))}, "not_finite"),
    ("embeddings", {"vector": pa.array([[1e300, 1.0]], pa.list_(pa.float64()))}, "not_finite"),
    ("embeddings", {"vector": pa.array([[1.0]], pa.list_(pa.float32()))}, "bad_vector"),
    ("embeddings", {"vector": pa.array(["AACAPwAAgD8="])}, "wrong_type"),
    ("metrics", {"signal": pa.array(["nothing.known"])}, "unknown_signal"),
    ("metrics", {"value": pa.array([math.nan])}, "not_finite"),
    ("changes", {"service": pa.array([None], pa.utf8())}, "missing_field"),
]


@pytest.mark.parametrize(("form", "columns", "reason"), BAD_COLUMNS)
def test_a_bad_value_refuses_its_arrow_row_alone(
    form: Form, columns: dict[str, pa.Array], reason: str
) -> None:
    value = (
        stream(
            pa.concat_tables([table(form), table(form, **columns), table(form)], promote_options="default")
        )
        if (
            all(
                columns[name].type == table(form).schema.field(name).type
                for name in columns
                if name in GOOD[form]
            )
        )
        else stream(table(form, **columns))
    )
    decoded = decode(TOPIC[form], value)
    assert reasons(decoded) == [reason]
    assert decoded.samples == 1 + 2 * (decoded.accepted == 2)
    assert decoded.refused[0].value is None
    assert decoded.refused[0].sha256 == hashlib.sha256(value).hexdigest()


NESTINGS = [
    lambda name: {name: SECRET},
    lambda name: {"extra": {name: SECRET}},
    lambda name: {"extra": [{"deeper": {name: [SECRET]}}]},
    lambda name: {"service": {name: SECRET}},
    lambda name: {"script_shares": {name: 0.5}},
    lambda name: {"x." + name: SECRET},
]


@pytest.mark.parametrize("name", sorted(TEXT_FIELDS))
@pytest.mark.parametrize("nest", NESTINGS)
@pytest.mark.parametrize("form", FORMS)
def test_text_is_refused_at_any_depth_and_found_nowhere(form: Form, name: str, nest: Any) -> None:
    line = json.dumps(GOOD[form] | nest(name))
    first = name[0]
    escaped = line.replace(f'"{name}"', f'"\\u{ord(first):04x}{name[1:]}"')
    value = "\n".join([json.dumps(GOOD[form]), line, escaped]).encode()
    decoded = decode(TOPIC[form], value)
    assert reasons(decoded) == ["text_field"] * 2
    assert decoded.accepted == 1
    assert SECRET.encode() not in pickle.dumps(decoded)


def test_a_dotted_name_is_text_when_nested_too() -> None:
    assert reasons(one("requests", gen_ai={"system_instructions": SECRET})) == ["text_field"]
    assert reasons(one("requests", gen_ai={"input": {"messages": []}})) == ["text_field"]
    assert one("requests", prompt=None).accepted == 1
    assert one("requests", **{"gen_ai.usage.input": 12}).unknown_fields == {"gen_ai.usage.input": 1}


def test_duplicate_keys_do_not_smuggle_text_into_dead_letters() -> None:
    line = '{"a": {"prompt": "%"}, "a": 1, "x": {"pro\\u006dpt": "%"}, "x": 1}'.replace("%", SECRET)
    decoded = decode(REQUESTS, line.encode())
    assert reasons(decoded) == ["missing_field"]
    assert SECRET.encode() not in pickle.dumps(decoded)


@pytest.mark.parametrize("vector", [[0.25] * 32, "AACAPwAAgD8" * 30, {"deep": [[1e-3] * 16]}])
def test_a_vector_under_any_name_is_not_kept(vector: Any) -> None:
    refusal = one("requests", ttft_s=-1, hidden=vector).refused[0]
    assert (refusal.reason, refusal.value) == ("out_of_range", None)


ARROW_TEXT = [
    ("prompt", pa.array([SECRET])),
    ("prompt", pa.array([1])),
    ("x", pa.array([{"deep": [{"content": SECRET}]}])),
    ("x", pa.array([[("messages", SECRET)]], pa.map_(pa.utf8(), pa.utf8()))),
    ("x", pa.array([[[("messages", SECRET)]]], pa.list_view(pa.map_(pa.utf8(), pa.utf8())))),
    ("x", pa.array([[{"input": SECRET}]], pa.list_(pa.struct([("input", pa.utf8())]), 1))),
    ("script_shares", pa.array([[("text", 0.5)]], pa.map_(pa.utf8(), pa.float32()))),
    (
        "x",
        pa.array([{"gen_ai.system_instructions": SECRET}]).cast(
            pa.struct([("gen_ai.system_instructions", pa.large_utf8())])
        ),
    ),
]


@pytest.mark.parametrize(("name", "column"), ARROW_TEXT)
def test_text_columns_refuse_the_rows_that_have_them(name: str, column: pa.Array) -> None:
    both = pa.concat_tables(
        [table("requests"), table("requests", **{name: column})], promote_options="default"
    )
    decoded = decode(REQUESTS, stream(both))
    assert reasons(decoded) == ["text_field"]
    assert list(rows(decoded.chunks)) == [0]
    assert SECRET.encode() not in pickle.dumps([chunk.batch.to_pylist() for chunk in decoded.chunks])
    assert SECRET.encode() not in pickle.dumps(decoded.refused)


def test_a_time_ahead_of_its_kafka_timestamp_is_refused_and_from_files_is_not() -> None:
    for form in FORMS:
        ahead = 90 * 86_400_000 if form == "changes" else 300_000
        for value in (
            json.dumps(GOOD[form]).encode(),
            stream(table(form)),
        ):
            assert decode(TOPIC[form], value, broker_time_ms=NOW_MS - ahead).accepted == 1
            assert reasons(decode(TOPIC[form], value, broker_time_ms=NOW_MS - ahead - 1)) == ["future_time"]
            assert decode(TOPIC[form], value).accepted == 1


FRAMING: list[tuple[str, bytes, str]] = [
    (REQUESTS, b"", "framing"),
    (REQUESTS, b" \n", "framing"),
    (REQUESTS, b"event_time=1", "framing"),
    (REQUESTS, b"\0\0", "framing"),
    (REQUESTS, b'[{"event_time": 1}, {', "not_json"),
    (REQUESTS, b'{"event_time": 1', "not_json"),
    (REQUESTS, b"[" * 100_000, "not_json"),
    (REQUESTS, b'{"a":' * 100_000, "not_json"),
    (REQUESTS, b'{"service": "\xff"}', "not_json"),
    (REQUESTS, stream(table("requests"))[:-100], "framing"),
    (REQUESTS, file(table("requests"))[:-1], "framing"),
    (REQUESTS, b"\xff\xff\xff\xff\0\0\0\0", "framing"),
    (REQUESTS, b"ARROW1\0\0", "framing"),
    (REQUESTS, b"[1" + b",1" * 2**20 + b"]", "too_large"),
    ("otlp_metrics", b"{", "framing"),
    ("otlp_metrics", b"[]", "framing"),
    ("otlp_metrics", b' {"resourceMetrics": []}', "framing"),
    ("otlp_spans", b"\x0a\xff", "framing"),
    ("anomalies.v1", b"{}", "unknown_topic"),
    ("telemetry.requests.v2", b"{}", "unknown_topic"),
]


@pytest.mark.parametrize(("topic", "value", "reason"), FRAMING)
def test_a_record_that_cannot_be_taken_apart_counts_as_one(topic: str, value: bytes, reason: str) -> None:
    decoded = decode(topic, value)
    assert reasons(decoded) == [reason]
    assert decoded.samples == 1
    assert decoded.refused[0].value is None


def test_a_record_of_100_mib_is_refused_unparsed() -> None:
    value = bytes(100 * 2**20)
    decoded = decode(REQUESTS, value)
    assert reasons(decoded) == ["too_large"]
    assert decoded.refused[0].length == len(value)


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
@pytest.mark.parametrize("writer", [stream, file])
def test_a_decompression_bomb_is_refused_before_it_is_decompressed(codec: str, writer: Any) -> None:
    bomb = table("requests", 1, zeros=pa.array([bytes(MAX_BYTES + 1)]))
    before = pa.total_allocated_bytes()
    value = stream(bomb, compression=codec)
    assert len(value) < MAX_BYTES // 100
    del bomb
    assert reasons(decode(REQUESTS, value)) == ["too_large"]
    assert pa.total_allocated_bytes() <= before


def test_rows_without_bytes_are_no_bomb() -> None:
    empty = pa.RecordBatch.from_arrays([pa.nulls(2**21)], ["service"])
    assert reasons(decode(REQUESTS, stream(empty))) == ["too_large"]


def test_overlapping_views_are_no_bomb() -> None:
    count = 100_000
    long = b"x" * 100_000
    views = b"".join(struct.pack("<i4sii", len(long), long[:4], 0, 0) for _ in range(count))
    column = pa.Array.from_buffers(pa.string_view(), count, [None, pa.py_buffer(views), pa.py_buffer(long)])
    value = stream(table("requests", count, service=column))
    assert len(value) < MAX_BYTES
    assert reasons(decode(REQUESTS, value)) == ["too_large"]


def test_leading_white_space_is_skipped_but_not_on_otlp() -> None:
    assert decode(REQUESTS, b"\r\n\t " + json.dumps(GOOD["requests"]).encode()).accepted == 1


def test_unknown_fields_are_counted_and_their_sample_stays() -> None:
    decoded = one("requests", zone="b", shape={"a": 1}, absent=None)
    assert (decoded.accepted, decoded.unknown_fields) == (1, {"zone": 1, "shape": 1})
    decoded = decode(REQUESTS, stream(table("requests", 2, zone=pa.array(["b", None]))))
    assert (decoded.accepted, decoded.unknown_fields) == (2, {"zone": 1})
    long = one("requests", **{"k" * 5000: 1})
    assert max(map(len, long.unknown_fields)) <= 128


def test_blank_dcgm_samples_are_absent_and_blank_metrics_ignored() -> None:
    for blank in (2**63 - 256, 9223372036854775794, float(2**63)):
        found = one(
            "gpu",
            power_w=blank,
            utilization=blank,
            xid=int(blank) if blank < 2**63 else None,
            temperature_c=5,
        )
        assert rows(found.chunks)[0] == GOOD["gpu"] | {"temperature_c": 5.0}
        assert (
            rows(one("gpu", producer_seq=2**63 - 1).chunks)[0] == GOOD["gpu"]
        )  # no alias, nothing to spell out
        assert one("metrics", value=blank).ignored == {"sentinel": 1}
    arrow = table(
        "gpu", 1, power_w=pa.array([2**63 - 10]), utilization=pa.array([2.0**63]), xid=pa.array([3])
    )
    assert rows(decode("telemetry.gpu.v1", stream(arrow)).chunks)[0] == GOOD["gpu"] | {"xid": 3}


@given(st.data())
@settings(max_examples=60)
def test_any_mix_of_good_and_bad_rows_adds_up(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(FORMS))
    # a wrong value of a field that is no text may be kept
    bad = [fields for kind, fields, _ in BAD_FIELDS if kind == form and SECRET not in fields.values()]
    kinds = data.draw(st.lists(st.sampled_from(["good", "bad", "text", "broken", "scalar"]), max_size=8))
    lines, good = [], []
    for index, kind in enumerate(kinds):
        if kind == "good":
            good.append(index)
            lines.append(json.dumps(data.draw(samples(form))))
        elif kind == "bad":
            lines.append(json.dumps(GOOD[form] | data.draw(st.sampled_from(bad))))
        elif kind == "text":
            lines.append(json.dumps(GOOD[form] | {data.draw(st.sampled_from(sorted(TEXT_FIELDS))): SECRET}))
        else:
            lines.append('{"event_time": ' if kind == "broken" else "3")
    value = "\n".join(["{}", *lines, "{}"]).encode()
    decoded = decode(TOPIC[form], value)
    assert decoded.samples == len(lines) + 2
    assert sorted(rows(decoded.chunks)) == [index + 1 for index in good]
    assert SECRET.encode() not in pickle.dumps(decoded)


_PREFIXES = [
    b"",
    b"\0\0\0\0\1",
    b"\1" + bytes(16),
    b"{",
    b"[",
    b"[{",
    b"\xff\xff\xff\xff",
    b"ARROW1\0\0",
    b"\x0a",
]


@given(
    topic=st.sampled_from([*TOPICS, "nowhere"]),
    prefix=st.sampled_from(_PREFIXES),
    body=st.binary(max_size=60),
)
@settings(max_examples=300)
def test_no_bytes_raise(topic: str, prefix: bytes, body: bytes) -> None:
    decode(topic, prefix + body, broker_time_ms=NOW_MS)


_VALID = [
    stream(table("requests", 3)),
    stream(table("embeddings", 2)),
    file(table("metrics", 3)),
    stream(table("requests", 50, gpus=pa.array([["a"]] * 50)), compression="zstd"),
    stream(table("gpu", 2, xid=pa.array(["1", "2"]).dictionary_encode())),
]


@given(
    value=st.sampled_from(_VALID),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
    topic=st.sampled_from([TOPIC[form] for form in FORMS]),
)
@settings(max_examples=300)
def test_damaged_arrow_never_raises(value: bytes, changes: list[tuple[int, int]], topic: str) -> None:
    damaged = bytearray(value)
    for position, byte in changes:
        damaged[position % len(damaged)] = byte
    decoded = decode(topic, bytes(damaged))
    for chunk in decoded.chunks:
        chunk.batch.validate(full=True)
    assert np.iinfo(np.int32).max > decoded.samples
