"""JSON records to drafts: all rows at once where all are good, else row by row: one bad row refuses one.

The first way decodes straight into structs that forbid unknown fields: no text field can pass, and nothing
needs to be walked. Whatever it stumbles over is settled by the second way, which gives each row its reason.
"""

import struct
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Raw, Struct, structs

from schemas.arrow import INT64, STRUCTS, Column, columns
from schemas.chunk import Form
from schemas.names.text import carries_text, holds_text
from schemas.wire.dcgm import spell_out, without_blanks
from schemas.wire.draft import Draft
from schemas.wire.reasons import MAX_SAMPLES, Reason, Refused, short
from schemas.wire.vectors import vectors_of_bytes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ANY = msgspec.json.Decoder()
_RAW = msgspec.json.Decoder(Raw)
_RAWS = msgspec.json.Decoder(list[Raw])

#: A row that could not be drafted: its index and the finding.
Bad = tuple[int, Reason, str]


class JsonRows:
    """The samples of one JSON record: an object, an array of objects, or NDJSON."""

    def __init__(self, form: Form, body: bytes) -> None:
        self.form = form
        self.body = body
        self.unknown: Counter[str] = Counter()
        self.bad: list[Bad] = []
        self._rows: list[bytes] | None = None

    def draft(self) -> Draft:
        """The rows that are well formed; what is not goes to `bad`.

        Raises:
            Refused: The record as a whole cannot be taken apart.
        """
        wire = _WIRES[self.form]
        try:
            rows = wire.array.decode(self.body) if self.body[:1] == b"[" else wire.row.decode_lines(self.body)
            return draft_of(self.form, rows, np.arange(len(rows), dtype=np.int32))
        except (ValueError, OverflowError, RecursionError, struct.error):
            return self._row_by_row()

    def rows(self) -> list[bytes]:
        """The bytes of each sample."""
        if self._rows is None:
            self._rows = _split(self.body)
        return self._rows

    def _row_by_row(self) -> Draft:
        self.unknown.clear()
        good, index = [], []
        for number, raw in enumerate(self.rows()):
            try:
                good.append(_row(self.form, raw, self.unknown))
                index.append(number)
            except Refused as refused:
                self.bad.append((number, refused.reason, refused.detail))
        return draft_of(self.form, good, np.array(index, np.int32))


def _split(body: bytes) -> list[bytes]:
    """Take a record apart into samples, each still JSON text, not yet known to be good."""
    try:
        rows = [bytes(raw) for raw in (_RAWS.decode(body) if body[:1] == b"[" else _RAW.decode_lines(body))]
    except (ValueError, RecursionError):
        if body[:1] == b"[":
            raise Refused("not_json", "the array cannot be parsed") from None
        rows = [line for line in (line.strip() for line in body.split(b"\n")) if line]
    if len(rows) > MAX_SAMPLES:
        raise Refused("too_large", f"more than {MAX_SAMPLES} samples")
    return rows


class _Wire:
    """Decoders of one form that forbid unknown fields, and read a vector's base64 as bytes."""

    def __init__(self, form: Form) -> None:
        fields = [("vector", bytes)] if form == "embeddings" else []
        self.struct = msgspec.defstruct(
            f"Wire{STRUCTS[form].__name__}",
            fields,
            bases=(STRUCTS[form],),
            frozen=True,
            kw_only=True,
            forbid_unknown_fields=True,
            gc=False,
        )
        self.row: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self.struct)
        self.array: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[self.struct])  # type: ignore[name-defined]


#: Made where no other thread reads: `schemas.plans`.
_WIRES: dict[Form, _Wire] = {form: _Wire(form) for form in STRUCTS}


def _row(form: Form, raw: bytes, unknown: Counter[str]) -> Struct:
    """One sample with its unknown fields dropped and counted."""
    try:
        value = _ANY.decode(raw)
    except (ValueError, RecursionError):
        raise Refused("not_json", "the sample cannot be parsed") from None
    if not isinstance(value, dict):
        raise Refused("not_an_object", "a sample is a JSON object")
    if holds_text(value):
        raise Refused("text_field", "a field that carries text")
    return row_of(form, value, unknown)


def row_of(form: Form, value: dict[str, Any], unknown: Counter[str]) -> Struct:
    """A sample's fields as a checked struct; unknown ones are dropped and counted.

    Raises:
        Refused: A field is missing, of the wrong type, or outside its limits.
    """
    if form == "gpu":
        value = spell_out(value)
    fields = columns(form)
    known = {}
    for name, item in value.items():
        column = fields.get(name)
        if item is None:
            continue
        if column is None:
            unknown[short(name)] += 1
        else:
            known[name] = _whole(column, item)
    try:
        row: Struct = msgspec.convert(known, _WIRES[form].struct)
    except msgspec.ValidationError as error:
        raise _finding(str(error)) from None
    if any(carries_text(name) for name in getattr(row, "script_shares", None) or ()):
        raise Refused("text_field", "a share named like a text field")
    return row


def _whole(column: Column, value: object) -> object:
    """3.0 fits an integer; an integer beyond 64 bits fits nothing."""
    if column.kind in ("int", "time"):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not INT64[0] <= value <= INT64[1]:
            raise Refused("out_of_range", f"{column.name}: beyond 64 bits")
    return value


def _finding(message: str) -> Refused:
    """Msgspec's message as a reason and a detail without any value of the sample."""
    path = message.rpartition(" - at `")[2].rstrip("`") if " - at `" in message else ""
    field = path.removeprefix("$.") if not path.startswith("key") else path
    problem = message.partition(" - at `")[0]
    if problem.startswith("Object missing required field"):
        return Refused("missing_field", problem.partition("`")[2].rstrip("`"))
    if problem.startswith("Invalid enum value"):
        return Refused("unknown_value", field)
    if "RFC3339" in problem or "timezone" in problem or "`int | datetime`" in problem:
        return Refused("bad_time", f"{field}: RFC 3339 with a zone, or integer Unix milliseconds")
    if "base64" in problem:
        return Refused("bad_vector", f"{field}: not base64")
    if "of length" in problem or "<" in problem or ">" in problem or "out of range" in problem:
        return Refused("out_of_range", f"{field}: {problem}")
    return Refused("wrong_type", f"{field}: {problem}")


def draft_of(form: Form, rows: Sequence[Struct], index: np.ndarray[Any, np.dtype[np.int32]]) -> Draft:
    """Checked structs as a draft.

    Args:
        form: The form of the rows.
        rows: Structs as `row_of` makes them.
        index: Each row's index in its record: int32[n].

    Raises:
        Refused: There are more rows than a record may have.
        OverflowError: An integer is beyond 64 bits.
    """
    if len(rows) > MAX_SAMPLES:
        raise Refused("too_large", f"more than {MAX_SAMPLES} samples")
    draft = Draft(form, len(rows), {}, index)
    if not rows:
        return draft
    absent = len(rows)
    for column, values in zip(
        columns(form).values(), zip(*map(structs.astuple, rows), strict=True), strict=True
    ):
        if values.count(None) == absent:
            continue
        if column.kind == "vector":
            vectors_of_bytes(draft, rows)
        else:
            draft.columns[column.name] = _BUILD[column.kind](values)
            if form == "gpu" and column.kind in ("float", "int"):
                draft.columns[column.name] = without_blanks(draft.columns[column.name])
    return draft


@lru_cache(maxsize=4096)
def _single(value: str) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(_ZERO, pa.array([value], pa.utf8()))


_ZERO = pa.array([0], pa.int32())


def _number(values: tuple[Any, ...], kind: pa.DataType, code: str) -> pa.Array:
    if len(values) == 1:  # a record of one object: several times as fast as the general way
        return pa.Array.from_buffers(kind, 1, [None, pa.py_buffer(struct.pack(code, values[0]))], 0)
    return pa.array(values, kind)


def _text(values: tuple[Any, ...]) -> pa.Array:
    if len(values) == 1:
        return _single(values[0])
    return pa.array(values, pa.utf8()).dictionary_encode()


def _time(values: tuple[Any, ...]) -> pa.Array:
    return _number(
        tuple((value - _EPOCH) // _MILLISECOND if isinstance(value, datetime) else value for value in values),
        pa.int64(),
        "<q",
    )


def _shares(values: tuple[Any, ...]) -> pa.Array:
    names = set().union(*(value for value in values if value is not None))
    if any(carries_text(name) for name in names):
        raise ValueError("a share named like a text field")
    return pa.array(
        [None if value is None else list(value.items()) for value in values], pa.map_(pa.utf8(), pa.float32())
    )


_BUILD: dict[str, Callable[[tuple[Any, ...]], pa.Array]] = {
    "time": _time,
    "text": _text,
    "choice": _text,
    "int": lambda values: _number(values, pa.int64(), "<q"),
    "float": lambda values: _number(values, pa.float64(), "<d"),
    "bool": lambda values: pa.array(values, pa.bool_()),
    "texts": lambda values: pa.array(values, pa.list_(pa.utf8())),
    "shares": _shares,
}
