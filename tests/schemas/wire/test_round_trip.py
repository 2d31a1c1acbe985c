"""What is written in any of the formats is what a chunk holds."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.arrow import schema_of
from schemas.chunk import Form
from schemas.wire import decode
from tests.arrow import stream
from tests.schemas.wire.samples import FORMS, TOPIC, expected, rows, samples, vector

SETTINGS = settings(max_examples=25)


def check(form: Form, value: bytes, given_samples: list[dict[str, Any]]) -> None:
    decoded = decode(TOPIC[form], value)
    assert decoded.refused == ()
    assert decoded.samples == len(given_samples)
    assert rows(decoded.chunks) == {
        index: expected(form, sample) for index, sample in enumerate(given_samples)
    }


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
@SETTINGS
def test_json(form: Form, data: st.DataObject) -> None:
    batch = data.draw(st.lists(samples(form), min_size=1, max_size=4))
    spaced = data.draw(st.sampled_from([None, 1]))
    ascii_only = data.draw(st.booleans())
    lines = [json.dumps(sample, ensure_ascii=ascii_only) for sample in batch]
    check(form, ("\n".join(lines)).encode(), batch)
    check(form, ("\r\n \r\n".join([*lines, ""])).encode(), batch)
    check(form, (" \n" + json.dumps(batch, indent=spaced)).encode(), batch)
    check(form, json.dumps(batch[0], indent=spaced).encode(), batch[:1])
    check(form, b"\0\0\0\0\7" + lines[0].encode(), batch[:1])
    check(form, b"\1" + bytes(16) + lines[0].encode(), batch[:1])


_STRINGS = [
    pa.utf8(),
    pa.large_utf8(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.utf8()),
    pa.dictionary(pa.uint16(), pa.large_utf8()),
]
_LISTS = [pa.list_, pa.large_list, pa.list_view, pa.large_list_view]
_TIMES = [
    pa.int64(),
    pa.timestamp("ms", "UTC"),
    pa.timestamp("us", "Europe/Berlin"),
    pa.timestamp("ns", "+05:30"),
]


@st.composite
def tables(draw: st.DrawFn, form: Form) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Valid samples as a table, each column in one of the types readers take."""
    batch = draw(st.lists(samples(form), min_size=1, max_size=4))
    if form == "embeddings":
        dim, dtype = batch[0]["dim"], batch[0]["dtype"]
        batch = [sample for sample in batch if (sample["dim"], sample["dtype"]) == (dim, dtype)]
    columns = {}
    for field in schema_of(form):
        values = [sample.get(field.name) for sample in batch]
        if field.name == "vector":
            item = pa.float16() if batch[0]["dtype"] == "f16" else pa.float32()
            vectors = [np.array(vector(sample), item.to_pandas_dtype()) for sample in batch]
            fixed = pa.list_(item, batch[0]["dim"])
            columns["vector"] = pa.array(
                vectors, draw(st.sampled_from([fixed, pa.list_(item), pa.large_list(item)]))
            )
        elif any(value is not None for value in values):
            columns[field.name] = _column(draw, field.type, values)
    return pa.table(columns), batch


def _column(draw: st.DrawFn, kind: pa.DataType, values: list[Any]) -> pa.Array:
    if pa.types.is_string(kind):
        return _strings(draw, values)
    if pa.types.is_timestamp(kind):
        plain = pa.array(values, pa.int64())
        return plain.cast(pa.timestamp("ms", "UTC")).cast(draw(st.sampled_from(_TIMES)))
    if pa.types.is_list(kind):
        lists = draw(st.sampled_from(_LISTS))
        return pa.array(values, lists(draw(st.sampled_from(_STRINGS[:2]))))
    if pa.types.is_map(kind):
        entries = [None if value is None else list(value.items()) for value in values]
        return pa.array(entries, pa.map_(pa.utf8(), pa.float32()))
    if pa.types.is_integer(kind):
        return pa.array(values, draw(st.sampled_from([kind, pa.int64()])))
    return pa.array(values, kind)


def _strings(draw: st.DrawFn, values: list[Any]) -> pa.Array:
    kind = draw(st.sampled_from(_STRINGS))
    plain = pa.array(values, pa.utf8())
    return plain.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else plain.cast(kind)


def file(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
@SETTINGS
def test_arrow(form: Form, data: st.DataObject) -> None:
    table, batch = data.draw(tables(form))
    check(form, stream(table), batch)
    check(form, file(table), batch)
    check(form, stream(table, compression=data.draw(st.sampled_from(["zstd", "lz4"]))), batch)
    check(form, stream(pa.concat_tables([table, table]), unify_dictionaries=False), batch + batch)
    check(form, stream(table.slice(1)), batch[1:])
    check(form, b"\0\0\0\0\7" + stream(table), batch)


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.uint16(), pa.uint64(), pa.float16(), pa.float32(), pa.dictionary(pa.int8(), pa.int32())],
)
def test_any_number_type_that_fits(kind: pa.DataType) -> None:
    values = pa.array([3, None], pa.int32())
    number = values.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else values.cast(kind)
    table = pa.table(
        {
            "event_time": pa.array([1, 2]),
            "service": ["s", "s"],
            "request_id": ["a", "b"],
            "status": ["ok", "ok"],
            "output_tokens": number,
            "duration_s": number,
        }
    )
    found = rows(decode("telemetry.requests.v1", stream(table)).chunks)
    assert (found[0]["output_tokens"], found[0]["duration_s"]) == (3, 3.0)
    assert type(found[0]["output_tokens"]) is int
    assert "output_tokens" not in found[1]


def test_json_numbers_that_fit_are_taken() -> None:
    sample = {
        "event_time": 1.0,
        "service": "s",
        "request_id": "r",
        "status": "ok",
        "output_tokens": 3.0,
        "ttft_s": 1,
    }
    found = rows(decode("telemetry.requests.v1", json.dumps(sample).encode()).chunks)[0]
    assert found == {**sample, "event_time": 1}
    assert type(found["output_tokens"]) is int


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-01-05T00:00:00Z", 1_767_571_200_000),
        ("2026-01-05T01:30:00.123999+01:30", 1_767_571_200_123),
        ("1969-12-31T23:59:59.9995Z", -1),
    ],
)
def test_times_with_a_zone(text: str, milliseconds: int) -> None:
    sample = {"event_time": text, "service": "s", "request_id": "r", "status": "ok"}
    found = rows(decode("telemetry.requests.v1", json.dumps(sample).encode()).chunks)[0]
    assert found["event_time"] == milliseconds
    column = pa.array([text]).cast(pa.timestamp("ns", "UTC"))
    table = pa.table({**{name: [value] for name, value in sample.items()}, "event_time": column})
    assert rows(decode("telemetry.requests.v1", stream(table)).chunks)[0]["event_time"] == milliseconds


def test_several_dimensions_and_embedders_are_chunks_of_their_own() -> None:
    @given(st.lists(samples("embeddings"), min_size=2, max_size=6))
    @SETTINGS
    def each_chunk_is_one(batch: list[dict[str, Any]]) -> None:
        batch = [{**sample, "embedder_version": f"e{index % 2}"} for index, sample in enumerate(batch)]
        decoded = decode("telemetry.embeddings.v1", json.dumps(batch).encode())
        kinds = [
            (chunk.batch.column("embedder_version")[0].as_py(), chunk.batch.column("dim")[0].as_py())
            for chunk in decoded.chunks
        ]
        assert len(kinds) == len(set(kinds)) == len({(s["embedder_version"], s["dim"]) for s in batch})
        assert len(rows(decoded.chunks)) == len(batch)

    each_chunk_is_one()
