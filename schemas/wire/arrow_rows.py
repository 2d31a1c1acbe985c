"""Arrow records to drafts, a column at a time: cast to its chunk type, and the rows it fails refused.

Writers differ in widths and encodings, so any number type that fits is taken, and dictionary, large and view
strings and lists. Nothing is expanded beyond the size of a record before its decoded size is known.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrow import Column, columns
from schemas.chunk import Form
from schemas.wire.arrow_text import text_rows
from schemas.wire.dcgm import spell_out_columns, without_blanks
from schemas.wire.draft import Draft, Mask
from schemas.wire.ipc import read_batches
from schemas.wire.lists import flatten, is_list, is_number
from schemas.wire.reasons import MAX_BYTES, Reason, Refused, short
from schemas.wire.strings import encode_strings, is_string
from schemas.wire.vectors import vectors_of_lists

_UNITS_PER_MS = {"us": 1_000, "ns": 1_000_000}


class ArrowRows:
    """The samples of one Arrow IPC stream or file."""

    def __init__(self, form: Form, body: bytes) -> None:
        self.form = form
        self.body = body
        self.unknown: Counter[str] = Counter()

    def drafts(self) -> list[Draft]:
        """One draft a batch, or one of all of them: many small ones are dearer than a large one.

        Raises:
            Refused: The record as a whole cannot be read.
        """
        start = 0
        drafts = []
        try:
            for batch in _joined(read_batches(self.body)):
                if batch.num_rows:
                    drafts.append(self._draft(batch, start))
                start += batch.num_rows
        except (pa.ArrowException, ValueError):
            # Arrow's validation is not the last word: names, for one, are decoded when first asked for.
            raise Refused("framing", "broken Arrow") from None
        return drafts

    def _draft(self, batch: pa.RecordBatch, start: int) -> Draft:
        count = batch.num_rows
        draft = Draft(self.form, count, {}, np.arange(start, start + count, dtype=np.int32))
        given: dict[str, pa.Array] = {}
        for field, values in zip(batch.schema, batch.columns, strict=True):
            carrying = text_rows(field.name, values)
            if carrying is not None:
                draft.refuse(carrying, "text_field", "a field that carries text")
            given.setdefault(field.name, values)
        if self.form == "gpu":
            given = spell_out_columns({name: without_blanks(values) for name, values in given.items()})
        # A vector is held against dim and dtype, so it comes last.
        for column in sorted(columns(self.form).values(), key=lambda column: column.kind == "vector"):
            values = given.pop(column.name, None)
            if values is not None and values.null_count < count:
                self._take(draft, column, values)
            elif column.required:
                draft.refuse(np.ones(count, bool), "missing_field", column.name)
        for name, values in given.items():
            if values.null_count < count:
                self.unknown[short(name)] += count - values.null_count
        return draft

    def _take(self, draft: Draft, column: Column, values: pa.Array) -> None:
        if pa.types.is_dictionary(values.type) and not is_string(values.type.value_type):
            values = values.dictionary_decode()
        if column.required and values.null_count:
            draft.refuse(_mask(values.is_null()), "missing_field", column.name)
        if column.kind == "vector":
            vectors_of_lists(draft, values)
            return
        cast = _CAST[column.kind](draft, column, values)
        if cast is not None:
            draft.columns[column.name] = cast
            if (
                column.required and cast.null_count > values.null_count
            ):  # a dictionary may hold null as a value
                draft.refuse(_mask(cast.is_null()), "missing_field", column.name)


def _joined(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    if len(batches) < 2 or any(pa.types.is_string_view(field.type) for field in batches[0].schema):
        return batches  # views may point at more than there is room for
    joined: list[pa.RecordBatch] = (
        pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()
    )
    return joined


def _mask(values: pa.BooleanArray) -> Mask:
    mask: Mask = values.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def _wrong_type(draft: Draft, column: Column, values: pa.Array) -> None:
    draft.refuse(_mask(values.is_valid()), "wrong_type", f"{column.name}: a column of {_name(values.type)}")


def _name(kind: pa.DataType) -> str:
    """An Arrow type without field names of others in it."""
    return str(kind) if kind.num_fields == 0 else str(kind).partition("<")[0]


def _numbers(draft: Draft, column: Column, values: pa.Array) -> npt.NDArray[Any] | None:
    """The numbers with zero for null, and what is not finite or out of its limits refused."""
    if not is_number(values.type):
        _wrong_type(draft, column, values)
        return None
    if values.type == pa.float16():
        values = values.cast(pa.float32())
    fill = 0 if column.low <= 0 else int(column.low)
    plain: npt.NDArray[Any] = (values.fill_null(fill) if values.null_count else values).to_numpy()
    low, high = plain.min(), plain.max()
    if column.low <= low and high <= column.high and -np.inf < low and high < np.inf:
        return plain
    if pa.types.is_floating(values.type):
        draft.refuse(~np.isfinite(plain), "not_finite", column.name)
    draft.refuse(
        (plain < column.low) | (plain > column.high),
        "bad_time" if column.kind == "time" else "out_of_range",
        f"{column.name}: not within {column.low:g} and {column.high:g}",
    )
    return plain


def _float(draft: Draft, column: Column, values: pa.Array) -> pa.Array | None:
    plain = _numbers(draft, column, values)
    if plain is None or values.type == pa.float64():
        return None if plain is None else values
    return pa.array(plain.astype(np.float64), mask=_nulls(values))


def _int(draft: Draft, column: Column, values: pa.Array) -> pa.Array | None:
    plain = _numbers(draft, column, values)
    if plain is None or values.type == pa.int64():
        return None if plain is None else values
    if pa.types.is_floating(values.type):
        with np.errstate(invalid="ignore"):
            broken = np.isfinite(plain) & (plain != np.floor(plain))
            huge = ~((plain >= -(2.0**63)) & (plain < 2.0**63))
        draft.refuse(broken, "wrong_type", f"{column.name}: not a whole number")
        draft.refuse(huge & np.isfinite(plain), "out_of_range", f"{column.name}: beyond 64 bits")
        plain = np.where(broken | huge, 0, plain)
    elif values.type == pa.uint64():
        huge = plain > np.uint64(2**63 - 1)
        draft.refuse(huge, "out_of_range", f"{column.name}: beyond 64 bits")
        plain = np.where(huge, np.uint64(0), plain)
    return pa.array(plain.astype(np.int64), mask=_nulls(values))


def _nulls(values: pa.Array) -> Mask | None:
    return _mask(values.is_null()) if values.null_count else None


def _time(draft: Draft, column: Column, values: pa.Array) -> pa.Array | None:
    kind = values.type
    if not pa.types.is_timestamp(kind):
        return _int(draft, column, values)
    if kind.tz is None:
        draft.refuse(_mask(values.is_valid()), "bad_time", f"{column.name}: a timestamp without a zone")
        return None
    ticks = values.view(pa.int64())
    if kind.unit == "ms":
        return _int(draft, column, ticks)
    plain = (ticks.fill_null(0) if ticks.null_count else ticks).to_numpy()
    if kind.unit == "s":
        plain = np.clip(plain, -(2**52), 2**52) * 1000
    else:
        plain = plain // _UNITS_PER_MS[kind.unit]
    return _int(draft, column, pa.array(plain, mask=_nulls(values)))


def _text(draft: Draft, column: Column, values: pa.Array) -> pa.Array | None:
    if not is_string(values.type):
        _wrong_type(draft, column, values)
        return None
    encoded = encode_strings(values)
    bad = _bad_strings(column, encoded.dictionary)
    if bad is not None:
        codes = encoded.indices.fill_null(-1).to_numpy()
        reason: Reason = "unknown_value" if column.kind == "choice" else "out_of_range"
        what = "not one of its values" if column.kind == "choice" else "an empty or overlong text"
        draft.refuse(np.append(bad, False)[codes], reason, f"{column.name}: {what}")
    return encoded


def _bad_strings(column: Column, distinct: pa.StringArray) -> Mask | None:
    if not len(distinct):
        return None
    if column.kind == "choice":
        bad = np.array([value not in column.choices for value in distinct.to_pylist()])
        return bad if bad.any() else None
    ends = np.frombuffer(distinct.buffers()[1], np.int32)[
        distinct.offset : distinct.offset + len(distinct) + 1
    ]
    sizes = np.diff(ends)
    if sizes.min() >= column.low and sizes.max() <= column.high:
        return None
    lengths = pc.utf8_length(distinct).to_numpy()
    outside: Mask = (lengths < column.low) | (lengths > column.high)
    return outside


def _bool(draft: Draft, column: Column, values: pa.Array) -> pa.Array | None:
    if pa.types.is_boolean(values.type):
        return values
    _wrong_type(draft, column, values)
    return None


def _texts(draft: Draft, column: Column, values: pa.Array) -> pa.Array | None:
    if not is_list(values.type) or not is_string(values.type.value_type):
        _wrong_type(draft, column, values)
        return None
    flat, ends = flatten(values)
    encoded = encode_strings(flat)
    codes = encoded.indices.fill_null(-1).to_numpy()
    bad = _bad_strings(column, encoded.dictionary)
    faults = codes < 0 if bad is None else (codes < 0) | np.append(bad, False)[codes]
    if faults.any():
        draft.refuse(_any_within(faults, ends), "wrong_type", f"{column.name}: an item that is no text")
    sizes = np.append(pc.binary_length(encoded.dictionary).to_numpy(zero_copy_only=False), 0)
    if int(sizes[codes].sum()) > MAX_BYTES:
        raise Refused("too_large", f"over {MAX_BYTES} bytes once expanded")
    return pa.ListArray.from_arrays(_int32(ends), encoded.cast(pa.utf8()), mask=_null_array(values))


def _shares(draft: Draft, column: Column, values: pa.Array) -> pa.Array | None:
    kind = values.type
    if not pa.types.is_map(kind) or not is_string(kind.key_type):
        _wrong_type(draft, column, values)
        return None
    length = pc.list_value_length(
        values.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
    )
    ends = np.concatenate([[0], np.cumsum(length.fill_null(0).to_numpy())])
    offsets = values.offsets
    first, last = offsets[0].as_py(), offsets[-1].as_py()
    if last - first != ends[-1]:
        raise Refused("framing", "a null map with entries")
    keys = encode_strings(values.keys.slice(first, last - first))
    items = values.items.slice(first, last - first)
    inner = Column(column.name, "float", False, column.low, column.high)
    entries = Draft(draft.form, len(items), {}, np.arange(len(items), dtype=np.int32))
    numbers = _float(entries, inner, items) if len(items) else pa.array([], pa.float64())
    faults = np.zeros(len(items), bool)
    faults[list(entries.refused)] = True
    faults |= _mask(items.is_null()) | _mask(keys.is_null())
    if faults.any():
        draft.refuse(_any_within(faults, ends), "out_of_range", f"{column.name}: a share outside 0 to 1")
    shares = (
        numbers.cast(pa.float32(), safe=False) if numbers is not None else pa.nulls(len(items), pa.float32())
    )
    plain = keys.cast(pa.utf8()).fill_null("")
    return pa.MapArray.from_arrays(_int32(ends), plain, shares, mask=_null_array(values))


def _any_within(faults: Mask, ends: npt.NDArray[np.int64]) -> Mask:
    """Which lists hold an item at fault."""
    total = np.concatenate([[0], np.cumsum(faults)])
    mask: Mask = total[ends[1:]] > total[ends[:-1]]
    return mask


def _int32(ends: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(ends.astype(np.int32))


def _null_array(values: pa.Array) -> pa.Array | None:
    return values.is_null() if values.null_count else None


_CAST: dict[str, Callable[[Draft, Column, pa.Array], pa.Array | None]] = {
    "time": _time,
    "text": _text,
    "choice": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "texts": _texts,
    "shares": _shares,
}
