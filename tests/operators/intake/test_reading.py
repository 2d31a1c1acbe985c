"""Many small records are decoded together; what comes of it is what each would have come to alone."""

import json
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.intake.reading import Readout, read
from operators.sources import SourceRecord
from tests.arrow import stream

START = 1_767_571_200_000
TOPIC = "telemetry.requests.v1"

_good = st.builds(
    lambda at, number, more: (
        {
            "event_time": START + at,
            "request_id": f"r{number}",
            "service": "chat",
            "status": "ok",
        }
        | more
    ),
    st.integers(0, 700_000),
    st.integers(0, 5),
    st.sampled_from(
        [{}, {"ttft_s": 0.2}, {"ttft_s": -1.0}, {"colour": "red"}, {"prompt": "hello"}, {"ttft_s": None}]
    ),
)


def arrow(rows: list[dict[str, Any]], compression: str | None = None) -> bytes:
    """Rows as an Arrow stream of one batch, strings in dictionaries that all such streams share."""
    services = pa.DictionaryArray.from_arrays(
        pa.array([0] * len(rows), pa.int32()), pa.array(["chat", "code"])
    )
    batch = pa.record_batch(
        {
            "event_time": pa.array([row["event_time"] for row in rows], pa.timestamp("ms", "UTC")),
            "request_id": pa.array([row["request_id"] for row in rows]),
            "service": services,
            "status": pa.array([row["status"] for row in rows]),
            "ttft_s": pa.array([row.get("ttft_s") for row in rows], pa.float64()),
        }
    )
    return stream(batch, compression=compression)


_good_rows = st.lists(_good, max_size=4)
_bytes = st.one_of(
    _good_rows.map(arrow),
    _good_rows.map(lambda rows: arrow(rows, "lz4")),
    _good_rows.map(lambda rows: arrow(rows)[:-9]),
    _good_rows.map(lambda rows: arrow(rows) * 2),
    st.tuples(_good_rows, st.integers(0, 1200), st.integers(0, 255)).map(
        lambda drawn: arrow(drawn[0])[: drawn[1]] + bytes([drawn[2]]) + arrow(drawn[0])[drawn[1] + 1 :]
    ),
    _good.map(lambda row: json.dumps(row).encode()),
    _good.map(lambda row: b"  " + json.dumps(row).encode() + b" \n"),
    _good.map(lambda row: json.dumps(row, indent=1).encode()),
    st.lists(_good, max_size=3).map(lambda rows: json.dumps(rows).encode()),
    st.lists(_good, max_size=3).map(lambda rows: b"\n".join(json.dumps(row).encode() for row in rows)),
    st.lists(_good, min_size=2, max_size=2).map(lambda rows: b"".join(json.dumps(r).encode() for r in rows)),
    _good.map(lambda row: b"\x00\x00\x00\x00\x07" + json.dumps(row).encode()),
    _good.map(lambda row: json.dumps(row).encode()[:-1]),
    st.sampled_from(
        [b"", b"{", b"{}", b"}{", b"[", b"null", b"\xff\xff\xff\xff", b'{"a": "\xff"}', b"{}\r\n"]
    ),
)


def told(readouts: list[Readout]) -> dict[str, Any]:
    """Samples by record, refusals by offset, and the accounts."""
    rows: list[tuple[int, str]] = []
    for number, readout in enumerate(readouts):
        for samples in readout.samples:
            plain = samples.chunk.batch.drop_columns(["row"]).to_pylist()
            places = samples.record.tolist() if len(readouts) == 1 else [number] * len(plain)
            kept = [{name: value for name, value in row.items() if value is not None} for row in plain]
            rows += [(at, json.dumps(row, sort_keys=True)) for at, row in zip(places, kept, strict=True)]
    return {
        "rows": sorted(rows),
        "letters": [letter for readout in readouts for _, letter in sorted(readout.dead_letters, key=_index)],
        "ignored": sum((readout.ignored for readout in readouts), start=Readout().ignored),
        "unknown": sum((readout.unknown_fields for readout in readouts), start=Readout().unknown_fields),
        "received": sum(readout.received for readout in readouts),
    }


def _index(pair: tuple[int, Any]) -> int:
    return pair[0]


def test_many_small_arrow_records_cost_one_decoding() -> None:
    rows = [
        {"event_time": START + at, "request_id": f"r{at}", "service": "chat", "status": "ok"} for at in (1, 2)
    ]
    records = [SourceRecord(TOPIC, f"{TOPIC}/0", offset, arrow(rows), None) for offset in range(50)]
    (samples,) = read(TOPIC, records, 300.0).samples
    assert samples.record.tolist() == [number for number in range(50) for _ in rows]
    assert samples.chunk.batch.column("row").to_pylist() == list(range(100))


@settings(max_examples=150)
@given(st.lists(_bytes, max_size=25), st.sampled_from([None, START, START + 10**6]))
def test_together_is_as_one_by_one(values: list[bytes], broker_time_ms: int | None) -> None:
    records = [
        SourceRecord(TOPIC, f"{TOPIC}/0", offset, value, broker_time_ms)
        for offset, value in enumerate(values)
    ]
    together = told([read(TOPIC, records, 300.0)])
    assert together == told([read(TOPIC, [record], 300.0) for record in records])
