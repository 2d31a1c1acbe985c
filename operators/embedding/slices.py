"""Which series a projected row belongs to: the same slice sets as scalars, coinciding ones once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.series import Slice, slice_of

#: Fields a slice does without where a sample lacks them.
_LEFT_OUT = ("service", "request_model", "service_version")


def slices_of(identity: dict[str, str | None], sets: Sequence[tuple[str, ...]]) -> tuple[Slice, ...]:
    """The distinct slices one identity feeds."""
    found: dict[Slice, None] = {}
    for names in sets:
        if all(identity.get(name) is not None or name in _LEFT_OUT for name in names):
            found[slice_of({name: identity.get(name) for name in names})] = None
    return tuple(found)


def codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], list[str | None]]:
    """A dictionary column as codes into its values; null is the last code."""
    joined = column.unify_dictionaries().combine_chunks()
    values = joined.dictionary.to_pylist()
    places = joined.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return places.astype(np.int64), [*values, None]


def distinct(
    table: pa.Table, names: Sequence[str]
) -> tuple[npt.NDArray[np.int64], list[dict[str, str | None]]]:
    """Distinct combinations of dictionary columns: each row's place in the list, and the list."""
    key = np.zeros(table.num_rows, np.int64)
    columns = [codes(table.column(name)) for name in names]
    for code, values in columns:
        # renumbering after each column keeps the key small whatever the number of columns
        _, key = np.unique(key * len(values) + code, return_inverse=True)
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    combinations = [
        {name: values[int(code[row])] for name, (code, values) in zip(names, columns, strict=True)}
        for row in first
    ]
    return place.astype(np.int64), combinations
