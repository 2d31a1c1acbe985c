"""The folder layout of files: partitions, order, packing, and what is no record."""

import gzip
import json
import logging

import pyarrow as pa
import pytest
import zstandard

from operators.intake import Intake
from operators.settings import Settings
from operators.sources.files import partitions, values
from schemas.wire import decode
from schemas.wire.reasons import MAX_BYTES

TOPIC = "telemetry.requests.v1"
START = 1_767_571_200_000


def sample(number):
    return {"event_time": START + number, "service": "chat", "request_id": f"r{number}", "status": "ok"}


def line(number):
    return json.dumps(sample(number)).encode()


def batch(*numbers):
    rows = [sample(number) for number in numbers]
    plain = pa.RecordBatch.from_pylist(rows)
    coded = plain.column("request_id").dictionary_encode()
    return plain.set_column(plain.schema.get_field_index("request_id"), "request_id", coded)


def arrow(writer, *batches, **options):
    sink = pa.BufferOutputStream()
    with writer(sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as stream:
        for each in batches:
            stream.write_batch(each)
    return sink.getvalue().to_pybytes()


def folder(root, files):
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def ids(record):
    decoded = decode(TOPIC, record)
    return [name for chunk in decoded.chunks for name in chunk.batch.column("request_id").to_pylist()]


def test_records_come_in_name_order_whatever_their_packing(tmp_path):
    folder(
        tmp_path / TOPIC,
        {
            "a.ndjson": line(0) + b"\n\n" + line(1),
            "b.ndjson.gz": gzip.compress(line(2) + b"\r\n"),
            "c.ndjson.zst": zstandard.compress(line(3)) + zstandard.compress(b"\n" + line(4)),
            "d.json": json.dumps([sample(5), sample(6)], indent=1).encode(),
            "e.arrow": arrow(pa.ipc.new_file, batch(7)),
            "e2.arrow": arrow(pa.ipc.new_stream, batch(8, 9)),
            "f.arrows": arrow(pa.ipc.new_stream, batch(10), batch(11), batch(10), compression="zstd"),
            "g.arrow.zst": zstandard.compress(arrow(pa.ipc.new_stream, batch(12), compression="lz4")),
        },
    )
    (partition,) = partitions(tmp_path)
    assert (partition.topic, partition.name) == (TOPIC, f"{TOPIC}/0")
    records = [record for records in partition.read(max_records=3) for record in records]
    assert [record.offset for record in records] == list(range(12))
    found = [[int(name[1:]) for name in ids(record.value)] for record in records]
    assert found == [[0], [1], [2], [3], [4], [5, 6], [7], [8, 9], [10], [11], [10], [12]]
    rest = [record for records in partition.read(start=9) for record in records]
    assert rest == records[9:]


def test_sub_folders_are_partitions_and_other_names_one_warning(tmp_path, caplog):
    folder(
        tmp_path,
        {
            f"{TOPIC}/0/a.ndjson": line(0),
            f"{TOPIC}/10/a.ndjson": line(1),
            f"{TOPIC}/2/a.ndjson": line(2),
            f"{TOPIC}/notes.txt": b"x",
            f"{TOPIC}/01/a.ndjson": line(3),
            "telemetry.unknown.v1/a.ndjson": line(4),
            "otlp_metrics/a.json": b"{}",
            "labels.json": b"[]",
        },
    )
    with caplog.at_level(logging.WARNING):
        found = partitions(tmp_path)
    assert [each.name for each in found] == ["otlp_metrics/0", f"{TOPIC}/0", f"{TOPIC}/2", f"{TOPIC}/10"]
    (warning,) = caplog.messages
    assert all(name in warning for name in ("notes.txt", f"{TOPIC}/01", "telemetry.unknown.v1"))
    assert "labels.json" not in warning


def test_a_root_that_is_no_folder_says_what_it_should_be(tmp_path):
    with pytest.raises(NotADirectoryError, match="one folder a topic"):
        partitions(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["long.ndjson", "long.json"])
def test_a_record_beyond_the_limit_is_refused_and_the_next_one_read(tmp_path, name):
    monster = b'{"pad":"' + b"x" * (MAX_BYTES + 5) + b'"}'
    folder(tmp_path / TOPIC, {name: monster + b"\n" + line(1), "z.ndjson": line(2)})
    (partition,) = partitions(tmp_path)
    records = [record for records in partition.read() for record in records]
    assert max(len(record.value) for record in records) == MAX_BYTES + 1
    assert [refusal.reason for refusal in decode(TOPIC, records[0].value).refused] == ["too_large"]
    assert ids(records[-1].value) == ["r2"]


@pytest.mark.parametrize(
    "damaged",
    [
        ("x.arrows", arrow(pa.ipc.new_stream, batch(0), batch(1))[:-300]),
        ("x.arrow", b"no arrow at all"),
        ("x.ndjson.gz", gzip.compress(line(0) + b"\n")[:-12]),
        ("x.ndjson.zst", b"no zstandard"),
    ],
)
def test_a_damaged_file_counts_as_one_refused_sample(tmp_path, damaged, caplog):
    name, data = damaged
    folder(tmp_path / TOPIC, {name: data, "z.ndjson": line(5)})
    (partition,) = partitions(tmp_path)
    intake = Intake(TOPIC, partition.name, Settings())
    with caplog.at_level(logging.WARNING):
        deliveries = [intake.take(records) for records in partition.read()]
    assert sum(each.accounts.refused.total() for each in deliveries) == 1
    assert deliveries[-1].accounts.balanced()
    assert intake.time_ms == START + 5
    assert name in caplog.text


def test_a_file_of_another_name_is_not_read(tmp_path):
    with pytest.raises(ValueError, match="ndjson"):
        list(values(tmp_path / "x.csv"))
