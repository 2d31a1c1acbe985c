"""``driftline query``: SQL that only reads, on whatever ClickHouse is configured."""

import csv
import io
import json
import math
import re
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from operators.clickhouse import Store
from pipelines.config import resolve
from pipelines.errors import UsageError
from pipelines.uncut import uncut

Format = Literal["table", "json", "csv"]

#: Where a ; or a word means nothing: in strings, quoted names and comments.
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|--[^\n]*|/\*.*?\*/""", re.S)
_READS = ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS")


def command(path: Path | None, clickhouse: str | None, sql: str, format: Format) -> None:
    """Run a query on the configured store and print what it returns."""
    sql = reading(sql)
    with Store.open(resolve(path, clickhouse=clickhouse).clickhouse, make=False) as store:
        query(store, sql, format)


def query(store: Store, sql: str, format: Format = "table") -> None:
    """Run a query and print what it returns.

    Raises:
        UsageError: the statement does more than read.
        StoreError: ClickHouse refuses it, in its own words.
    """
    answer = read(store, sql)
    if format == "table":
        uncut(Console(), width=10_000).print(_table(answer))
    else:
        sys.stdout.write(render(answer, format))


def read(store: Store, sql: str) -> pa.Table:
    """Run a statement that only reads; ClickHouse holds it to that too."""
    sql = reading(sql)
    restricted = store.query("SELECT getSetting('readonly')::UInt8 AS level")["level"][0].as_py()
    return store.query(sql, settings={} if restricted else {"readonly": 1})


def reading(sql: str) -> str:
    """A statement without comments, if it only reads; `UsageError` else."""
    sql = _QUOTED.sub(lambda m: " " if m[0].startswith(("--", "/*")) else m[0], sql).strip().rstrip(";")
    bare = _QUOTED.sub(" ", sql)
    if ";" in bare:
        raise UsageError("query takes one statement: nothing may follow the first ;")
    word = re.match(r"[\s(]*(\w*)", bare)
    if word is None or word[1].upper() not in _READS:
        raise UsageError(f"query only reads: begin with one of {', '.join(_READS)}")
    return sql


def render(answer: pa.Table, format: Literal["json", "csv"]) -> str:
    """The rows as a JSON array of objects, or as CSV with a header; times RFC 3339, in UTC."""
    columns = [_plain(column) for column in answer.columns]
    if format == "json":
        rows = (dict(zip(answer.column_names, row, strict=True)) for row in zip(*columns, strict=True))
        lines = ",\n".join(" " + json.dumps(row, ensure_ascii=False) for row in rows)
        return f"[\n{lines}\n]\n" if lines else "[]\n"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(answer.column_names)
    for row in zip(*columns, strict=True):
        writer.writerow([json.dumps(cell) if isinstance(cell, dict | list) else cell for cell in row])
    return out.getvalue()


def _table(answer: pa.Table) -> Table:
    rows = "1 row" if answer.num_rows == 1 else f"{answer.num_rows:,} rows"
    table = Table(caption=rows, caption_justify="left")
    for field in answer.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        table.add_column(field.name, justify="right" if number else "left", overflow="fold")
    for row in zip(*(_plain(column) for column in answer.columns), strict=True):
        table.add_row(*map(_cell, row))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key}={_cell(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(column: pa.ChunkedArray) -> list[Any]:
    convert = _converter(column.type)
    return [None if value is None else convert(value) for value in column.to_pylist()]


def _converter(kind: pa.DataType) -> Callable[[Any], Any]:
    """From Arrow's Python values of a type to what JSON has."""
    if pa.types.is_timestamp(kind):
        # a time without a zone is one of a column without: ClickHouse's own zone, which is left unsaid
        return lambda value: _time(value, kind.unit, zoned=kind.tz is not None)
    if pa.types.is_map(kind):
        key, item = _converter(kind.key_type), _converter(kind.item_type)
        return lambda value: {str(key(k)): None if v is None else item(v) for k, v in value}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        each = _converter(kind.value_type)
        return lambda value: [None if v is None else each(v) for v in value]
    if pa.types.is_struct(kind):
        parts = {field.name: _converter(field.type) for field in kind}
        return lambda value: {k: None if v is None else parts[k](v) for k, v in value.items()}
    if pa.types.is_floating(kind):
        return lambda value: value if math.isfinite(value) else None
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return lambda value: value
    return _text


def _time(value: datetime, unit: str, *, zoned: bool) -> str:
    precision = {"s": "seconds", "ms": "milliseconds"}.get(unit, "microseconds")
    if not zoned:
        return value.isoformat(timespec=precision)
    return value.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    return value.isoformat() if isinstance(value, date) else str(value)
