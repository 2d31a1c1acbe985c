"""GPU records spelt with DCGM's names, brought to the fields of ``telemetry.gpu.v1``; blanks are absent."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas.names.gpu import BLANK, GPU_FIELDS, GPU_LABELS, GPU_NAMES
from schemas.wire.lists import is_number
from schemas.wire.strings import encode_strings, is_string


def spell_out(record: dict[str, Any]) -> dict[str, Any]:
    """One decoded JSON record with its aliases resolved; what is no alias stays as it is."""
    given = {name: value for name, value in record.items() if not _blank(value)}
    spelt = {name: value for name, value in given.items() if name not in GPU_NAMES}
    for field, labels in GPU_LABELS.items():
        value = next((given[label] for label in labels if given.get(label) is not None), None)
        if value is not None and (field == "gpu" or spelt.get(field) is None):
            spelt[field] = value
    for alias in GPU_FIELDS:
        if spelt.get(alias.field) is not None:
            continue
        parts = [given[name] for name in alias.names if given.get(name) is not None]
        if not parts or (alias.every and len(parts) < len(alias.names)):
            continue
        if any(isinstance(part, bool) or not isinstance(part, int | float) for part in parts):
            spelt[alias.field] = parts[0]  # the wrong type, refused under the field's own name
        else:
            spelt[alias.field] = sum(parts) * alias.factor if alias.factor != 1.0 else sum(parts)
    return spelt


def _blank(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= BLANK


def without_blanks(values: pa.Array) -> pa.Array:
    """A column with DCGM's blank samples made null; one of no wide numbers has none."""
    kind = values.type
    if pa.types.is_floating(kind):
        blank = pc.greater_equal(values.cast(pa.float64()), float(BLANK))
    elif kind in (pa.int64(), pa.uint64()):
        blank = pc.greater_equal(values, pa.scalar(BLANK, kind))
    else:
        return values
    return pc.if_else(blank, pa.scalar(None, kind), values) if pc.any(blank).as_py() else values


def spell_out_columns(given: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """The same for Arrow columns, blank samples already null; columns that are no alias stay as they are."""
    if GPU_NAMES.isdisjoint(given):
        return given
    spelt = {name: values for name, values in given.items() if name not in GPU_NAMES}
    for field, labels in GPU_LABELS.items():
        texts = [given[label] for label in labels if label in given and is_string(given[label].type)]
        own = spelt.get(field)
        if own is not None and (is_string(own.type) or not texts):
            texts = [*texts, own] if field == "gpu" else [own, *texts]
        if texts:
            spelt[field] = texts[0] if len(texts) == 1 else pc.coalesce(*(_plain(text) for text in texts))
    for alias in GPU_FIELDS:
        parts = [_number(given[name]) for name in alias.names if name in given]
        if not parts or (alias.every and len(parts) < len(alias.names)):
            continue
        value = pc.multiply(_total(parts, alias.every), alias.factor)
        own = spelt.get(alias.field)
        if own is None:
            spelt[alias.field] = value
        elif own.null_count and is_number(own.type):
            spelt[alias.field] = pc.coalesce(own.cast(pa.float64(), safe=False), value)
    return spelt


def _plain(values: pa.Array) -> pa.Array:
    return encode_strings(values).cast(pa.utf8())


def _number(values: pa.Array) -> pa.Array:
    """As float64; a column that is no number is absent."""
    if not is_number(values.type):
        return pa.nulls(len(values), pa.float64())
    return values.cast(pa.float64(), safe=False)


def _total(parts: list[pa.Array], every: bool) -> pa.Array:
    """The sum of the columns; null where all are, or with ``every`` where one is."""
    total = parts[0]
    for part in parts[1:]:
        total = pc.add(total, part) if every else pc.coalesce(pc.add(total, part), total, part)
    return total
