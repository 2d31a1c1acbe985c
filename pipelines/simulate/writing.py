"""Sample tables to the files of a topic's folder: NDJSON, a sample a line, or Arrow streams of batches.

Field order and types are those of the record structs: a column that a form does not know cannot be written.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.simulate.episodes import SERVERS
from pipelines.simulate.fleet import SERVICES
from pipelines.simulate.tables import Column, Table, Words, length, take
from schemas.arrow import columns, schema_of
from schemas.chunk import Form

Format = Literal["ndjson", "arrow"]

#: Samples a file; samples, and seconds of arrivals, of an Arrow batch at most: senders do not wait for long.
FILE_ROWS, BATCH_ROWS, BATCH_S = 100_000, 1000, 60.0
#: Decimals kept of a number, enough for any of the signals.
_DECIMALS = 6
_OWN = re.compile(r"\d{5}\.(ndjson|arrows)")
_PREFIXES = [f"{name[:4]}-" for name in SERVICES]

TOPICS: dict[Form, str] = {
    "requests": "telemetry.requests.v1",
    "embeddings": "telemetry.embeddings.v1",
    "gpu": "telemetry.gpu.v1",
    "metrics": "telemetry.metrics.v1",
    "changes": "changes.v1",
}


def clear(root: Path) -> None:
    """Remove what an earlier simulation left below ``root``: longer, it would go on where this one ends."""
    for topic in TOPICS.values():
        for path in (root / topic).glob("*"):
            if _OWN.fullmatch(path.name):
                path.unlink()


def write_samples(root: Path, form: Form, table: Table, words: Words, form_at: Format) -> int:
    """Write one topic's samples, in the table's order, below ``root/<topic>/``; returns how many."""
    folder = root / TOPICS[form]
    folder.mkdir(parents=True, exist_ok=True)
    rows = length(table)
    for number, first in enumerate(range(0, rows, FILE_ROWS)):
        part = take(table, np.arange(first, min(first + FILE_ROWS, rows)))
        path = folder / f"{number:05d}.{form_at}{'s' if form_at == 'arrow' else ''}"
        (_ndjson if form_at == "ndjson" else _arrow)(path, form, part, words)
    return rows


def write_records(root: Path, form: Form, records: list[dict[str, Any]]) -> int:
    """Write ready-made records, one a line; returns how many."""
    folder = root / TOPICS[form]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "00000.ndjson").write_bytes(msgspec.json.Encoder().encode_lines(records))
    return len(records)


def _ndjson(path: Path, form: Form, table: Table, words: Words) -> None:
    fields = list(_columns(form, table))
    names = [name for name, _, _ in fields]
    line = msgspec.defstruct(
        "Line",
        [(name, Any, None) for name in (each.replace("from", "from_") for each in names)],
        omit_defaults=True,
    )
    lists = [_listed(kind, column, name, words) for name, kind, column in fields]
    path.write_bytes(msgspec.json.Encoder().encode_lines(list(map(line, *lists))))


def _arrow(path: Path, form: Form, table: Table, words: Words) -> None:
    vector = table.get("vector")
    schema = schema_of(form, vector=None if vector is None else pa.list_(pa.float16(), vector.shape[1]))
    arrays, kept = [], []
    for name, kind, column in _columns(form, table):
        field = schema.field(name)
        arrays.append(_arrowed(kind, column, name, field.type, words))
        kept.append(field)
    batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(kept))
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_stream(path, batch.schema, options=options) as stream:
        for first, end in _batches(np.asarray(table["arrival"], float)):
            stream.write_batch(batch.slice(first, end - first))


def _batches(arrival: npt.NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """First and last row (exclusive) of each batch."""
    minutes = np.flatnonzero(np.diff(np.floor(arrival / BATCH_S))) + 1
    for first, end in pairwise([0, *minutes.tolist(), len(arrival)]):
        for start in range(first, end, BATCH_ROWS):
            yield start, min(start + BATCH_ROWS, end)


def _columns(form: Form, table: Table) -> Iterator[tuple[str, str, Column]]:
    """The table's wire columns in the form's order, without those that hold nothing."""
    for name, column in columns(form).items():
        source = {"request_id": "request", "script_shares": "scripts", "trace_id": "traced"}.get(name, name)
        if source in table and not _empty(table[source]):
            yield name, column.kind, _with_request(name, table)
        elif name == "gpus" and "duration_s" in table:
            answered = np.isfinite(table["duration_s"])
            yield name, column.kind, np.where(answered, table["replica"], -1)


def _with_request(name: str, table: Table) -> Column:
    if name == "request_id":
        return table["request"]
    if name == "trace_id":
        return np.where(table["traced"], table["request"], -1)
    return table["scripts"] if name == "script_shares" else table[name]


def _empty(column: Column) -> bool:
    if column.dtype.kind == "f" and column.dtype.itemsize > 2:
        return bool(np.isnan(column).all())
    return column.dtype.kind == "i" and bool((column == -1).all())


def _texts(name: str, words: Words) -> Callable[[int], str]:
    """How a code (or a request's number) is written."""
    if name == "request_id":
        return lambda number: f"{_PREFIXES[number >> 40]}{number & 0xFFFFFFFFFF:08x}"
    if name == "trace_id":
        return lambda number: f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"
    return words.values(name).__getitem__


def _gpus(words: Words) -> list[list[str]]:
    owners = {server.replica: list(server.gpus) for _, server in SERVERS if server.replica}
    return [owners[replica] for replica in words.values("replica")]


def _listed(kind: str, column: Column, name: str, words: Words) -> list[Any]:
    """A column as Python values, None where there is nothing."""
    codes: list[Any] = column.tolist()
    match kind:
        case "text" | "choice":
            text = _texts(name, words)
            return [None if code == -1 else text(code) for code in codes]
        case "texts":
            known = _gpus(words) if name == "gpus" else [[each] for each in words.values(name)]
            return [known[code] if code >= 0 else None for code in codes]
        case "vector":
            return [row.tobytes() for row in column.astype("<f2")]  # msgspec writes bytes as base64
        case "shares" | "time":
            return codes
    numbers = column.astype(float)
    values: list[Any] = np.round(numbers, _DECIMALS).tolist()
    turn: Callable[[float], Any] = {"int": int, "bool": bool}.get(kind, float)
    return [None if value != value else turn(value) for value in values]


def _arrowed(kind: str, column: Column, name: str, type_: pa.DataType, words: Words) -> pa.Array:
    match kind:
        case "text" | "choice" if name not in ("request_id", "trace_id"):
            codes = pa.array(column.astype(np.int32), mask=column == -1)
            coded = pa.DictionaryArray.from_arrays(codes, pa.array(words.values(name), pa.utf8()))
            return coded.cast(type_)
        case "vector":
            return pa.FixedSizeListArray.from_arrays(pa.array(column.ravel()), column.shape[1])
        case "time":
            return pa.array(column.astype(np.int64)).cast(type_)
        case "float":
            return pa.array(np.round(column.astype(float), _DECIMALS), type_, from_pandas=True)
    return pa.array(_listed(kind, column, name, words), type_)
