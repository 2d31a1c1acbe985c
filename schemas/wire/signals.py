"""What ``signal`` of metric samples means: canonical name, unit, factor, temporality, bounds; by column."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrow import NAME
from schemas.names.gpu import BLANK
from schemas.names.metrics import BOUNDS, SPLIT_BY, Alias, default_temporality, resolve, unit_factor
from schemas.signals import SIGNALS

if TYPE_CHECKING:
    from schemas.wire.draft import Draft

Codes = npt.NDArray[np.int64]


def resolve_signals(draft: "Draft") -> None:
    """Bring metrics to canonical signals and units; refuse unknown signals, ignore blank values."""
    if not draft.count:
        return
    columns = draft.columns
    signals, names = _codes(columns["signal"])
    units, unit_names = _codes(columns.get("unit"), draft.count)
    attributes, attribute_names = _codes(columns.get("attribute"), draft.count)
    split = attributes if any(name in SPLIT_BY for name in names) else np.full(draft.count, -1)
    # One code for everything the meaning depends on; a record has few distinct ones.
    width, depth = len(unit_names) + 1, len(attribute_names) + 1
    distinct, where = np.unique((signals * width + units + 1) * depth + split + 1, return_inverse=True)
    meanings: list[tuple[Alias | None, float]] = []
    for code in distinct.tolist():
        rest, attribute = divmod(code, depth)
        signal, unit = divmod(rest, width)
        alias = resolve(names[signal], attribute_names[attribute - 1] if attribute else None)
        factor = unit_factor(alias, unit_names[unit - 1] if unit else None) if alias else 1.0
        meanings.append((alias, factor))
    known = [meaning for meaning, _ in meanings]
    if None in known:
        unknown = np.array([alias is None for alias in known])
        draft.refuse(
            unknown[where], "unknown_signal", "signal: not one of the canonical signals or their aliases"
        )
    _bring_values(draft, where, meanings)
    _name(draft, where, known)


def _bring_values(draft: "Draft", where: Codes, meanings: list[tuple[Alias | None, float]]) -> None:
    values = draft.columns["value"].fill_null(0.0).to_numpy(zero_copy_only=False)
    blank = values >= BLANK
    if blank.any():
        draft.ignore(blank, "sentinel")
    factors = np.array([factor for _, factor in meanings])
    if (factors != 1.0).any():
        values = values * factors[where]
        draft.columns["value"] = pa.array(values)
    bounds = np.array([BOUNDS[alias.signal] if alias else (-np.inf, np.inf) for alias, _ in meanings])
    outside = ((values < bounds[where, 0]) | (values > bounds[where, 1])) & ~blank
    if outside.any():
        draft.refuse(outside, "out_of_range", "value: outside what the signal can be")


def _name(draft: "Draft", where: Codes, known: list[Alias | None]) -> None:
    columns = draft.columns
    canonical = [alias.signal if alias else None for alias in known]
    columns["signal"] = _spread(canonical, where)
    columns["unit"] = _spread([SIGNALS[name].unit if name else None for name in canonical], where)
    usual = [
        (alias.temporality or default_temporality(SIGNALS[alias.signal])) if alias else None
        for alias in known
    ]
    columns["temporality"] = _or_else(columns.get("temporality"), _spread(usual, where))
    if any(alias is not None and alias.attribute for alias in known):
        given = columns.get("attribute")
        fixed = _spread([alias.attribute if alias else None for alias in known], where)
        columns["attribute"] = fixed if given is None else _or_else(fixed, given)


def _codes(values: pa.DictionaryArray | None, count: int = 0) -> tuple[Codes, list[str]]:
    """Index of each value in the distinct ones, -1 for null."""
    if values is None:
        return np.full(count, -1), []
    return values.indices.fill_null(-1).to_numpy().astype(np.int64), values.dictionary.to_pylist()


def _spread(distinct: list[str | None], where: Codes) -> pa.DictionaryArray:
    """Distinct strings, several of which may be equal or null, to a dictionary column."""
    encoded = pa.array(distinct, pa.utf8()).dictionary_encode()
    return encoded.take(pa.array(where))


def _or_else(first: pa.DictionaryArray | None, second: pa.DictionaryArray) -> pa.DictionaryArray:
    """``first`` where it has a value, else ``second``."""
    if first is None:
        return second
    if not first.null_count:
        return first
    plain = pc.coalesce(first.cast(pa.utf8()), second.cast(pa.utf8()))
    return plain.dictionary_encode().cast(NAME)
