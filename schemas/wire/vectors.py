"""Embedding vectors: their declared dimension and type must be what is there, and every number finite."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.wire.lists import flatten, is_list, is_number

if TYPE_CHECKING:
    from schemas.wire.draft import Draft

#: Little-endian element types by ``dtype``.
_ELEMENT: dict[str, np.dtype[Any]] = {"f16": np.dtype("<f2"), "f32": np.dtype("<f4")}


def vectors_of_bytes(draft: "Draft", rows: Sequence[Any]) -> None:
    """Add the vectors of decoded JSON rows (``vector`` bytes, ``dim``, ``dtype``) to the draft."""
    groups: dict[tuple[int, str], list[int]] = {}
    for index, row in enumerate(rows):
        if len(row.vector) == row.dim * _ELEMENT[row.dtype].itemsize:
            groups.setdefault((row.dim, row.dtype), []).append(index)
        else:
            draft.refused.setdefault(index, ("bad_vector", "vector: length is not dim × size of dtype"))
    for (dim, dtype), chosen in groups.items():
        flat = np.frombuffer(b"".join([rows[index].vector for index in chosen]), _ELEMENT[dtype])
        add_vectors(draft, np.array(chosen, np.int64), flat.reshape(len(chosen), dim))


def add_vectors(draft: "Draft", rows: npt.NDArray[np.int64], matrix: npt.NDArray[Any]) -> None:
    """Add a matrix, one vector a row, as float32; rows with a number that is not finite are refused."""
    with np.errstate(over="ignore"):
        single = matrix.astype(np.float32, copy=False)
    finite = np.isfinite(single).all(axis=1)
    if not finite.all():
        bad = np.zeros(draft.count, bool)
        bad[rows[~finite]] = True
        draft.refuse(bad, "not_finite", "vector: not every number is finite")
        rows, single = rows[finite], single[finite]
    dim = single.shape[1]
    if dim in draft.vectors:
        before, stacked = draft.vectors[dim]
        rows, single = np.concatenate([before, rows]), np.concatenate([stacked, single])
    draft.vectors[dim] = (rows, single)


def vectors_of_lists(draft: "Draft", values: pa.Array) -> None:
    """Add an Arrow column of vectors, any list of numbers, to the draft.

    ``dim`` and, where given, ``dtype`` must say what the column is.
    """
    if not is_list(values.type) or not is_number(values.type.value_type):
        present = values.is_valid().to_numpy(zero_copy_only=False)
        draft.refuse(present, "wrong_type", "vector: not a list of numbers")
        return
    element = "f16" if values.type.value_type == pa.float16() else "f32"
    _check_dtype(draft, element)
    flat, ends = flatten(values)
    numbers = flat.to_numpy(zero_copy_only=False)
    lengths = np.diff(ends)
    declared = draft.columns.get("dim")
    dims = np.full(draft.count, -1) if declared is None else declared.fill_null(-1).to_numpy()
    fits = values.is_valid().to_numpy(zero_copy_only=False) & (lengths == dims)
    draft.refuse(~fits, "bad_vector", "vector: length is not dim")
    for dim in np.unique(lengths[fits]).tolist():
        rows = np.flatnonzero(fits & (lengths == dim))
        matrix = (
            numbers.reshape(-1, dim)
            if len(rows) == draft.count
            else numbers[ends[rows][:, None] + np.arange(dim)]
        )
        add_vectors(draft, rows, matrix)


def _check_dtype(draft: "Draft", element: str) -> None:
    declared = draft.columns.get("dtype")
    if declared is not None:
        other = pc.not_equal(declared.cast(pa.utf8()), element)
        draft.refuse(
            other.fill_null(False).to_numpy(zero_copy_only=False),
            "bad_vector",
            "dtype: not what the vectors are",
        )
    draft.columns["dtype"] = (
        pa.array([element], pa.utf8()).dictionary_encode().take(pa.array(np.zeros(draft.count, int)))
    )
