"""The Arrow side of every form, derived from the record structs: what writers send and what chunks hold.

A `Column` is one field of a record struct with its limits, read from the struct's annotations; Arrow types
and vectorised checks come from it, so that nothing is declared twice.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import pyarrow as pa
from msgspec import NODEFAULT, inspect

from schemas.chunk import Form
from schemas.records import ChangeRecord, EmbeddingSample, GpuSample, Identity, MetricSample, RequestSample

#: The record struct of each form.
STRUCTS: dict[Form, type[Identity]] = {
    "requests": RequestSample,
    "embeddings": EmbeddingSample,
    "gpu": GpuSample,
    "metrics": MetricSample,
    "changes": ChangeRecord,
}

ColumnKind = Literal["time", "text", "choice", "int", "float", "bool", "texts", "shares", "vector"]

#: Strings of a chunk.
NAME = pa.dictionary(pa.int32(), pa.utf8())

#: int64's limits, and the Unix milliseconds of the years 1 to 9999.
INT64 = (-(2**63), 2**63 - 1)
TIME = (-62_135_596_800_000, 253_402_300_799_999)


@dataclass(frozen=True, slots=True)
class Column:
    """One field: its wire name, what it holds, and its limits (inclusive; of a text: its length)."""

    name: str
    kind: ColumnKind
    required: bool
    low: float
    high: float
    choices: frozenset[str] = frozenset()
    default: str | None = None

    @property
    def writer_type(self) -> pa.DataType:
        """Arrow type as written."""
        if self.kind == "int" and self.high < 2**31:
            return pa.int32()
        return _WRITER_TYPES.get(self.kind, _CHUNK_TYPES[self.kind])


_SHARES = pa.map_(pa.utf8(), pa.float32())

_CHUNK_TYPES: dict[ColumnKind, pa.DataType] = {
    "time": pa.int64(),
    "text": NAME,
    "choice": NAME,
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "texts": pa.list_(pa.utf8()),
    "shares": _SHARES,
    "vector": pa.list_(pa.float32()),
}

_WRITER_TYPES: dict[ColumnKind, pa.DataType] = {
    "time": pa.timestamp("ms", tz="UTC"),
    "text": pa.utf8(),
    "choice": pa.utf8(),
}


@cache
def columns(form: Form) -> dict[str, Column]:
    """The columns of a form by wire name, in the struct's order."""
    info = cast(inspect.StructType, inspect.type_info(STRUCTS[form]))
    return {field.encode_name: _column(field) for field in info.fields}


def schema_of(form: Form, *, vector: pa.DataType | None = None) -> pa.Schema:
    """The Arrow schema a writer of this form uses.

    Args:
        form: The form of the records.
        vector: Type of an embedding's ``vector``, ``pa.list_(pa.float16() | pa.float32(), dim)``; without it
            a list of float32 of any length, which readers take too.
    """
    return pa.schema(
        pa.field(
            name,
            vector if column.kind == "vector" and vector is not None else column.writer_type,
            nullable=not column.required,
        )
        for name, column in columns(form).items()
    )


def _column(field: inspect.Field) -> Column:
    kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    kinds = tuple(kind for kind in kinds if not isinstance(kind, inspect.NoneType))
    kind, low, high, choices = _shape(field.encode_name, kinds)
    default = field.default if isinstance(field.default, str) else None
    return Column(field.encode_name, kind, field.default is NODEFAULT, low, high, choices, default)


def _shape(name: str, kinds: tuple[inspect.Type, ...]) -> tuple[ColumnKind, float, float, frozenset[str]]:
    nothing: frozenset[str] = frozenset()
    if any(isinstance(kind, inspect.DateTimeType) for kind in kinds):
        return "time", *TIME, nothing
    match kinds[0]:
        case inspect.StrType() as text:
            kind: ColumnKind = "vector" if name == "vector" else "text"
            return kind, text.min_length or 0, text.max_length or 2**31, nothing
        case inspect.LiteralType() as literal:
            return "choice", 1, 2**31, frozenset(str(value) for value in literal.values)
        case inspect.IntType() as whole:
            low = INT64[0] if whole.ge is None else whole.ge
            high = whole.le if whole.le is not None else INT64[1] if whole.lt is None else whole.lt - 1
            return "int", low, high, nothing
        case inspect.FloatType() as number:
            least = -math.inf if number.ge is None else float(number.ge)
            return "float", least, math.inf if number.le is None else float(number.le), nothing
        case inspect.BoolType():
            return "bool", 0, 1, nothing
        case inspect.ListType(item_type=inspect.StrType() as text):
            return "texts", text.min_length or 0, text.max_length or 2**31, nothing
        case inspect.DictType(value_type=inspect.FloatType() as number):
            return "shares", float(number.ge or 0), float(number.le or 1), nothing
    raise TypeError(f"{name}: no Arrow type for {kinds[0]}")
