"""Strings as ranks: integer codes in the order of the values, so that sorting codes sorts the strings.

Grouping by several columns is then grouping by one integer, and its order is the canonical order of cells.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_ROOM = 2**62


class Coded(NamedTuple):
    """A column of strings: ``codes`` int64[n] into ``values`` (sorted, distinct), -1 where null."""

    codes: Ints
    values: Any

    def take(self, index: Ints) -> "Coded":
        """The rows at ``index``."""
        return Coded(self.codes[index], self.values)

    def array(self) -> Any:
        """The column as ``dictionary<int32, utf8>`` whose dictionary holds just the values in use, sorted."""
        used = np.unique(self.codes[self.codes >= 0])
        codes, values = self.codes, self.values
        if len(used) < len(values):
            codes = np.where(codes >= 0, np.searchsorted(used, codes), -1)
            values = values.take(pa.array(used))
        indices = pa.array(codes.astype(np.int32), mask=codes < 0)
        return pa.DictionaryArray.from_arrays(indices, values)


def coded(column: Any) -> Coded:
    """Rank a ``dictionary<int32, utf8>`` column; its dictionary may hold unused and unsorted values."""
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    values = column.dictionary
    if len(values) > 1:
        order = pc.array_sort_indices(values).to_numpy()
        rank = np.empty(len(order) + 1, np.int64)
        rank[order] = np.arange(len(order))
        rank[-1] = -1
        codes, values = rank[codes], values.take(pa.array(order))
    return Coded(codes, values)


def strings(values: Sequence[str], codes: Ints) -> Coded:
    """Rank codes into any list of distinct strings."""
    return coded(
        pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(values, pa.utf8()))
    )


def combine(columns: Sequence[tuple[Ints, int]]) -> tuple[Ints, int]:
    """One code for several: it orders as the columns do, the first one first.

    Args:
        columns: codes of n rows (-1 allowed, sorting first) and their number of values, one pair a column.

    Returns:
        int64[n] codes, all below the returned bound.
    """
    total, bound = columns[0][0] + 1, columns[0][1] + 1
    for codes, size in columns[1:]:
        if bound * (size + 1) > _ROOM:
            known, total = np.unique(total, return_inverse=True)
            bound = len(known)
        total, bound = total * (size + 1) + (codes + 1), bound * (size + 1)
    return total, bound
