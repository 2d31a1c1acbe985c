"""Files written are read back as the records they were."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

from schemas.arrow import schema_of
from schemas.wire import decode
from schemas.wire.encode import write_arrow, write_ndjson
from tests.arrow import stream
from tests.schemas.wire.samples import NOW_MS, rows

RECORDS = [
    {"event_time": NOW_MS + index, "service": "s", "request_id": f"r{index}", "status": "ok", "ttft_s": 0.5}
    for index in range(25)
]
OPEN = {"": lambda data: data, ".gz": gzip.decompress, ".zst": lambda data: zstandard.decompress(data, 2**20)}


@pytest.mark.parametrize("suffix", OPEN)
def test_ndjson(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.ndjson{suffix}"
    write_ndjson(path, RECORDS)
    decoded = decode("telemetry.requests.v1", OPEN[suffix](path.read_bytes()))
    assert list(rows(decoded.chunks).values()) == RECORDS


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_each_arrow_batch_is_a_record_of_its_own(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.arrows{suffix}"
    write_arrow(path, "requests", pa.Table.from_pylist(RECORDS), batch_rows=10)
    with pa.ipc.open_stream(OPEN[suffix](path.read_bytes())) as reader:
        batches = list(reader)
        assert set(reader.schema) <= set(schema_of("requests"))
    assert [batch.num_rows for batch in batches] == [10, 10, 5]
    found = []
    for batch in batches:
        found += rows(decode("telemetry.requests.v1", stream(batch)).chunks).values()
    assert found == RECORDS


def test_a_column_that_is_no_field_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'zone'"):
        write_arrow(tmp_path / "a.arrow", "requests", pa.table({"zone": ["b"]}))
