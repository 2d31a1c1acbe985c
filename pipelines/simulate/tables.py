"""Columnar tables of the simulated world, and the words behind their coded columns.

A table is a dict of equally long numpy arrays. Text is kept as codes into one vocabulary a column name
(-1 where absent), so that a million rows stay small and tables concatenate by column.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.simulate.arrays import Bools, Ints

Column = npt.NDArray[np.generic]
Table = dict[str, Column]


class Words:
    """The values of every coded column, in order of first use."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, int]] = {}

    def code(self, column: str, value: str | None) -> int:
        """The code of ``value``, made on first use; -1 for None."""
        if value is None:
            return -1
        known = self._values.setdefault(column, {})
        return known.setdefault(value, len(known))

    def codes(self, column: str, values: Iterable[str | None]) -> Ints:
        """The codes of many values."""
        return np.fromiter((self.code(column, value) for value in values), np.int64)

    def values(self, column: str) -> list[str]:
        """The values of a column, by code."""
        return list(self._values.get(column, {}))

    def __contains__(self, column: str) -> bool:
        return column in self._values


def length(table: Table) -> int:
    """Number of rows."""
    return len(next(iter(table.values()))) if table else 0


def take(table: Table, rows: Ints | Bools) -> Table:
    """The given rows, by index or mask."""
    return {name: column[rows] for name, column in table.items()}


def concat(tables: Sequence[Table]) -> Table:
    """Tables below one another; a column that one lacks is absent (-1, NaN, False) there."""
    tables = [table for table in tables if length(table)]
    names = dict.fromkeys(name for table in tables for name in table)
    kinds = {name: next(table[name].dtype for table in tables if name in table) for name in names}
    return {
        name: np.concatenate(
            [table[name] if name in table else absent(kinds[name], length(table)) for table in tables]
        )
        for name in names
    }


def absent(dtype: np.dtype[np.generic], rows: int) -> Column:
    """A column of nothing: NaN for numbers, -1 for codes, False for flags."""
    nothing = {"f": np.nan, "b": False, "O": None}.get(dtype.kind, -1)
    return np.full(rows, nothing, dtype)
