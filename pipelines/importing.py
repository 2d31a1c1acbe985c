"""`driftline import`: any CSV file to telemetry records, streamed, in the order of its rows.

Values are only converted here (units by a factor, times without a zone as UTC); whether a sample is valid is
decided where every record's is, when it is read.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from pipelines.errors import UsageError
from schemas.arrow import Column, columns
from schemas.wire import FORMS

_BLOCK = 4 * 2**20
#: Rows of an Arrow batch. From files a batch is a record, so this bounds what one bad batch costs.
_BATCH_ROWS = 1000
_ZONE = r"(?:[zZ]|[+-]\d\d:?\d\d)$"
#: Kinds a CSV cell can be turned into, and what to write in it.
_WRITTEN = {
    "time": "an ISO 8601 time, as 2026-01-05T08:00:00Z (UTC where it has no zone), or Unix milliseconds",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "text": "text",
    "choice": "text",
}


@dataclass(frozen=True, slots=True)
class _Filling:
    """Where a field's values come from: a CSV column (times ``factor``), or a constant with ``{row}``."""

    field: Column
    column: str | None
    factor: float
    constant: str


def import_csv(
    file: Path,
    topic: str,
    maps: Sequence[str],
    sets: Sequence[str],
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the rows of a CSV file as records of a topic, to ``out/<topic>/<partition>/<name>.arrow``.

    Each CSV file is a partition of its own: two that cover the same hours are read side by side, and neither
    makes the other late. Importing a file of the same name again replaces it.

    Args:
        file: CSV with a header line.
        topic: one of driftline's own topics that are read.
        maps: ``field=column`` or ``field=column*factor``, one a field.
        sets: ``field=value``; ``{row}`` is the row's number, the first one after the header being 1.
        out: the folder that `driftline run --input` takes.
        progress: called with bytes read and bytes in all.

    Returns:
        How many records were written.

    Raises:
        UsageError: an unknown topic, field or column, a required field without values, or a value that is not
            what its field holds; the message names it, and what would be right.
    """
    fields = _fields(topic)
    header = _header(file)
    fillings = [_mapped(text, fields, topic, file, header) for text in maps]
    fillings += [_set(text, fields, topic) for text in sets]
    _check(fillings, fields, topic)
    folder = _partition(out / topic, f"{file.stem}.arrow")
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(each.field.name, each.field.writer_type) for each in fillings])
    unfinished = folder / f".{file.stem}.unfinished"  # of a name that no reader takes
    done = 0
    try:
        with pa.OSFile(str(unfinished), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for batch in _batches(file, sorted({each.column for each in fillings if each.column}), progress):
                row = np.arange(done + 1, done + 1 + batch.num_rows)
                arrays = [_values(each, batch, row, file) for each in fillings]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema), max_chunksize=_BATCH_ROWS)
                done += batch.num_rows
        unfinished.replace(folder / f"{file.stem}.arrow")
    finally:
        unfinished.unlink(missing_ok=True)
    return done


def _partition(topic: Path, name: str) -> Path:
    """The partition that holds the file, or the first that is free."""
    inside = list(topic.iterdir()) if topic.is_dir() else []
    numbers = sorted(int(each.name) for each in inside if each.is_dir() and each.name.isdecimal())
    for number in numbers:
        if (topic / str(number) / name).exists():
            return topic / str(number)
    loose = any(each.is_file() for each in inside)  # these are partition 0
    return topic / str(max([*numbers, 0 if loose else -1]) + 1)


def _fields(topic: str) -> dict[str, Column]:
    if topic not in FORMS:
        raise UsageError(f"--topic {topic}: no such topic; one of {', '.join(FORMS)}")
    return columns(FORMS[topic])


def _header(file: Path) -> list[str]:
    try:
        with csv.open_csv(file) as reader:
            names: list[str] = reader.schema.names
            return names
    except FileNotFoundError:
        raise UsageError(f"{file}: no such file") from None
    except pa.ArrowInvalid as error:
        raise UsageError(f"{file}: not CSV with a header line: {error}") from None


def _field(text: str, flag: str, fields: dict[str, Column], topic: str) -> tuple[Column, str]:
    name, sign, value = text.partition("=")
    if not sign or not value:
        raise UsageError(f"{flag} {text}: write {flag} field={'column' if flag == '--map' else 'value'}")
    if name not in fields:
        near = get_close_matches(name, fields, 1)
        known = f"did you mean {near[0]}?" if near else f"it has {', '.join(fields)}"
        raise UsageError(f"{flag} {text}: {topic} has no field {name!r}; {known}")
    field = fields[name]
    if field.kind not in _WRITTEN:
        raise UsageError(f"{flag} {text}: {name} holds more than a CSV cell can; leave it out")
    return field, value


def _mapped(text: str, fields: dict[str, Column], topic: str, file: Path, header: list[str]) -> _Filling:
    field, column = _field(text, "--map", fields, topic)
    factor = 1.0
    if column not in header:
        name, star, number = column.rpartition("*")
        if star:
            try:
                column, factor = name, float(number)
            except ValueError:
                raise UsageError(f"--map {text}: the factor {number!r} is no number") from None
    if not math.isfinite(factor) or (factor != 1.0 and field.kind not in ("int", "float", "time")):
        raise UsageError(f"--map {text}: a factor is a finite number, for fields that hold numbers")
    if column not in header:
        raise UsageError(f"--map {text}: {file} has no column {column!r}; it has {', '.join(header)}")
    return _Filling(field, column, factor, "")


def _set(text: str, fields: dict[str, Column], topic: str) -> _Filling:
    field, value = _field(text, "--set", fields, topic)
    if field.choices and value not in field.choices:
        raise UsageError(f"--set {text}: {field.name} is {_expected(field)}")
    if unknown := re.search(r"\{(?!row\})\w*\}", value):
        raise UsageError(f"--set {text}: only {{row}} is filled in, not {unknown[0]}")
    return _Filling(field, None, 1.0, value)


def _check(fillings: Sequence[_Filling], fields: dict[str, Column], topic: str) -> None:
    named = [each.field.name for each in fillings]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise UsageError(f"{twice[0]} is given twice; give each field one --map or --set")
    missing = [name for name, field in fields.items() if field.required and name not in named]
    if missing:
        told = "; ".join(f"{name}, {_expected(fields[name])}" for name in missing)
        raise UsageError(f"{topic} needs a --map or --set also for: {told}")


def _expected(field: Column) -> str:
    if field.choices:
        return f"one of {', '.join(sorted(field.choices))}"
    return _WRITTEN.get(field.kind, "a list")


def _batches(
    file: Path, names: Sequence[str], progress: Callable[[int, int], None] | None
) -> Iterator[pa.RecordBatch]:
    """The columns asked for, as text; all columns where none is, so that rows are still counted."""
    size = file.stat().st_size
    wanted = list(names) or _header(file)[:1]
    convert = csv.ConvertOptions(
        include_columns=wanted,
        column_types=dict.fromkeys(wanted, pa.utf8()),
        strings_can_be_null=True,
        null_values=[""],
        quoted_strings_can_be_null=True,
    )
    with file.open("rb") as raw:
        try:
            read = csv.ReadOptions(block_size=_BLOCK, use_threads=False)
            with csv.open_csv(raw, read_options=read, convert_options=convert) as reader:
                for batch in reader:
                    yield batch
                    if progress is not None:
                        progress(min(raw.tell(), size), size)
        except pa.ArrowInvalid as error:
            raise UsageError(f"{file}: {error}") from None


def _values(filling: _Filling, batch: pa.RecordBatch, row: Any, file: Path) -> pa.Array:
    """One field's values for a batch of rows."""
    if filling.column is None:
        source = f"--set {filling.field.name}"
        if "{row}" in filling.constant:
            words = pa.array([filling.constant.replace("{row}", str(number)) for number in row.tolist()])
        else:
            words = pa.repeat(filling.constant, len(row))
    else:
        source = f"{file}, column {filling.column}"
        words = pc.utf8_trim_whitespace(batch.column(filling.column))
    field = filling.field
    if field.kind in ("text", "choice"):
        return words
    values = _CONVERT[field.kind](words, filling.factor)
    bad = pc.and_(words.is_valid(), values.is_null()).to_numpy(zero_copy_only=False)
    if bad.any():
        first = int(np.argmax(bad))
        raise UsageError(
            f"{source}, row {row[first]}: {words[first].as_py()!r} is not {_WRITTEN[field.kind]}, "
            f"which {field.name} holds"
        )
    return values.cast(field.writer_type)


def _numbers(words: pa.Array, factor: float) -> pa.Array:
    """Finite numbers times the factor, as float64; null for anything else."""
    fits = pc.match_substring_regex(words, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$")
    plain = pc.if_else(pc.fill_null(fits, False), words, pa.scalar(None, pa.utf8()))
    numbers = pc.utf8_ltrim(plain, characters="+").cast(pa.float64())
    scaled = numbers if factor == 1.0 else pc.multiply(numbers, factor)
    return pc.if_else(pc.is_finite(scaled), scaled, pa.scalar(None, pa.float64()))


def _whole(words: pa.Array, factor: float) -> pa.Array:
    """Whole numbers as int64; a factor may leave a rounding error of a millionth."""
    plain = pc.fill_null(pc.match_substring_regex(words, r"^-?\d{1,18}$"), False)
    if factor == 1.0 and pc.all(pc.or_(plain, words.is_null())).as_py() is not False:
        return words.cast(pa.int64())
    numbers = _numbers(words, factor)
    rounded = pc.round(numbers)
    fits = pc.and_(pc.less(pc.abs(pc.subtract(numbers, rounded)), 1e-6), pc.less(pc.abs(rounded), 2.0**62))
    return pc.if_else(pc.fill_null(fits, False), rounded, pa.scalar(None, pa.float64())).cast(pa.int64())


def _flags(words: pa.Array, factor: float) -> pa.Array:
    lower = pc.utf8_lower(words)
    yes, no = pa.array(["true", "1", "yes"]), pa.array(["false", "0", "no"])
    told = pc.or_(pc.is_in(lower, yes), pc.is_in(lower, no))
    return pc.if_else(told, pc.is_in(lower, yes), pa.scalar(None, pa.bool_()))


def _times(words: pa.Array, factor: float) -> pa.Array:
    """Unix ms: of ISO 8601 times to the nanosecond, and of numbers (times the factor), rounded down."""
    numbers = _numbers(words, factor)
    zoned = pc.fill_null(pc.match_substring_regex(words, _ZONE), False)
    found = pc.floor(numbers).cast(pa.int64(), safe=False)
    naive = pc.and_not(pc.and_(words.is_valid(), numbers.is_null()), zoned)
    for which, unit in ((zoned, pa.timestamp("ns", "UTC")), (naive, pa.timestamp("ns"))):
        if pc.any(which).as_py():
            text = pc.if_else(which, words, pa.scalar(None, pa.utf8()))
            found = pc.coalesce(found, _stamps(text, unit))
    return found


def _stamps(text: pa.Array, unit: pa.DataType) -> pa.Array:
    try:
        stamps = text.cast(unit)
    except pa.ArrowInvalid:
        stamps = pa.array([_stamp(word, unit) for word in text.to_pylist()], unit)
    return pc.floor_temporal(stamps, unit="millisecond").cast(pa.timestamp("ms")).cast(pa.int64())


def _stamp(word: str | None, unit: pa.DataType) -> Any:
    try:
        return None if word is None else pa.scalar(word).cast(unit)
    except pa.ArrowInvalid:
        return None


_CONVERT: dict[str, Callable[[pa.Array, float], pa.Array]] = {
    "time": _times,
    "int": _whole,
    "float": _numbers,
    "bool": _flags,
}
