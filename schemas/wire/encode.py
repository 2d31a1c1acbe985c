"""Writing records to files as readers take them: NDJSON and Arrow streams, ``.gz`` and ``.zst`` by suffix."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from schemas.arrow import schema_of
from schemas.chunk import Form

#: Rows of an Arrow batch. From files a batch is a record, so this bounds what one bad batch costs.
BATCH_ROWS = 1000


def write_ndjson(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line; aware datetimes become RFC 3339."""
    encoder = msgspec.json.Encoder()
    line = bytearray()
    with pa.output_stream(str(path), compression="detect") as stream:
        for record in records:
            encoder.encode_into(record, line)
            line += b"\n"
            stream.write(line)


def write_arrow(path: Path, form: Form, table: pa.Table, *, batch_rows: int = BATCH_ROWS) -> None:
    """Write a table of records as an Arrow IPC stream.

    Args:
        path: The file, ``*.arrow`` or ``*.arrows``.
        form: What the rows are.
        table: Columns by wire name; they are cast to the types of `schemas.arrow.schema_of`, and columns
            without any value are left out. An ``event_time`` may be integer Unix milliseconds.
        batch_rows: At most so many rows a batch.

    Raises:
        ValueError: A column is no field of the form, or does not fit its type.
    """
    fields = {field.name: field for field in schema_of(form)}
    unknown = [name for name in table.column_names if name not in fields]
    if unknown:
        raise ValueError(f"{form} has no field {unknown[0]!r}")
    columns = {
        name: _cast(table.column(name), fields[name])
        for name in fields
        if name in table.column_names
        and (not fields[name].nullable or table.column(name).null_count < len(table))
    }
    schema = pa.schema(fields[name].with_type(column.type) for name, column in columns.items())
    typed = pa.table(columns, schema=schema)
    with (
        pa.output_stream(str(path), compression="detect") as stream,
        pa.ipc.new_stream(stream, typed.schema) as writer,
    ):
        writer.write_table(typed, max_chunksize=batch_rows)


def _cast(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """A vector keeps its own list type, which says dimension and precision."""
    return column if field.name == "vector" else column.cast(field.type)
