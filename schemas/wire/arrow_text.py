"""Which rows of an Arrow column carry a text field, at any depth: struct fields, map keys, in lists too."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.names.text import carries_text
from schemas.wire.strings import is_string

Mask = npt.NDArray[np.bool_]


def text_rows(name: str, values: pa.Array) -> Mask | None:
    """Rows in which a field of this name is present and carries text; ``None`` for none."""
    kind = values.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if carries_text(name, 0 if is_number else ""):
        return _valid(values)
    if kind.num_fields == 0 and not pa.types.is_dictionary(kind):
        return None
    return _within(values)


def _valid(values: pa.Array) -> Mask | None:
    if values.null_count == len(values):
        return None
    mask: Mask = values.is_valid().to_numpy(zero_copy_only=False)
    return mask


def _within(values: pa.Array) -> Mask | None:
    kind = values.type
    if pa.types.is_dictionary(kind):
        if is_string(kind):
            return None
        inner = _within(values.dictionary) if kind.value_type.num_fields else None
        if inner is None:
            return None
        return _or_none(np.append(inner, False)[values.indices.fill_null(-1).to_numpy()])
    if pa.types.is_struct(kind):
        return _either(
            [text_rows(field.name, child) for field, child in zip(kind, values.flatten(), strict=True)]
        )
    if pa.types.is_map(kind):
        keys = values.keys
        named = (
            np.array([carries_text(key or "") for key in keys.cast(pa.utf8()).to_pylist()], bool)
            if is_string(kind.key_type)
            else None
        )
        inner = _either([named, text_rows("", values.items)])
        return None if inner is None else _lists(values, inner)
    if pa.types.is_fixed_size_list(kind):
        inner = text_rows("", values.values)
        if inner is None:
            return None
        size, start = kind.list_size, values.offset
        rows = inner[start * size : (start + len(values)) * size].reshape(len(values), size).any(axis=1)
        return _or_none(rows & _all(_valid(values), len(values)))
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        inner = text_rows("", values.values)
        if inner is None:
            return None
        first = values.offsets.to_numpy()
        return _spans(values, inner, first, first + values.sizes.to_numpy())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = text_rows("", values.values)
        return None if inner is None else _lists(values, inner)
    # Unions and run-end encodings are not read; a name anywhere in their type refuses the rows.
    return _valid(values) if _named(kind) else None


def _named(kind: pa.DataType) -> bool:
    fields: list[pa.Field] = [kind.field(index) for index in range(kind.num_fields)]
    return any(carries_text(field.name) or _named(field.type) for field in fields)


def _lists(values: pa.Array, inner: Mask) -> Mask | None:
    offsets = values.offsets.to_numpy()
    return _spans(values, inner, offsets[:-1], offsets[1:])


def _spans(values: pa.Array, inner: Mask, first: npt.NDArray[Any], last: npt.NDArray[Any]) -> Mask | None:
    total = np.concatenate([[0], np.cumsum(inner)])
    present = _all(_valid(values), len(values))
    first, last = np.where(present, first, 0), np.where(present, last, 0)  # null slots may point anywhere
    return _or_none(total[last] > total[first])


def _all(mask: Mask | None, count: int) -> Mask:
    return np.zeros(count, bool) if mask is None else mask


def _either(masks: list[Mask | None]) -> Mask | None:
    present = [mask for mask in masks if mask is not None]
    return _or_none(np.logical_or.reduce(present)) if present else None


def _or_none(mask: Mask) -> Mask | None:
    return mask if mask.any() else None
