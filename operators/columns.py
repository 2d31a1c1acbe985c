"""Structure of arrays: the state of many rows, one matrix per dtype, a field being a band of its lines.

Detection runs over blocks of rows. A block of neighbouring rows is read and written in place, through views;
scattered rows are copied out and copied back.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.state import StateError

#: State of a block of n rows: scalar fields are [n], wider ones [width, n].
Rows = dict[str, NDArray[Any]]


class Field(NamedTuple):
    """One field of a row: one number, or ``width`` of them; and the value a new row starts with.

    Of a ``sparse`` one a window touches few numbers only: scattered rows leave it where it is, see `Band`.
    """

    name: str
    width: int | None = None
    dtype: str = "f4"
    start: float = 0.0
    sparse: bool = False


class Band:
    """A sparse field of scattered rows, in its place: indexed as an array [width, n], by lines and rows.

    Args:
        lines: [width, all rows].
        rows: which of them, [n].
    """

    def __init__(self, lines: NDArray[Any], rows: NDArray[np.int64]) -> None:
        self._lines = lines
        self._rows = rows

    def __getitem__(self, at: Any) -> NDArray[Any]:
        """A copy of some lines, of all rows or of some: ``[line]``, ``[lines, rows]``."""
        line, rows = self._place(at)
        found: NDArray[Any] = self._lines[line, rows]
        return found

    def __setitem__(self, at: Any, values: Any) -> None:
        line, rows = self._place(at)
        self._lines[line, rows] = values

    def _place(self, at: Any) -> tuple[Any, NDArray[np.int64]]:
        if not isinstance(at, tuple):
            return at, self._rows
        return at[0], self._rows[at[1]]


class Block(NamedTuple):
    """Rows that are worked on: their state, and where it is copied back to, if it has to be."""

    state: Rows
    rows: NDArray[np.int64] | None
    parts: dict[str, NDArray[Any]]


class Columns:
    """State of rows that can be added at any time; capacity grows by half."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields = tuple(fields)
        self.count = 0
        self._matrices: dict[str, NDArray[Any]] = {}
        self._starts: dict[str, NDArray[Any]] = {}
        self._last: tuple[slice, Rows] | None = None
        self._dense: dict[str, int] = {}
        bands: dict[str, slice] = {}
        starts: dict[str, list[float]] = {}
        for field in sorted(self.fields, key=lambda field: field.sparse):
            lines = starts.setdefault(field.dtype, [])
            width = 1 if field.width is None else field.width
            bands[field.name] = slice(len(lines), len(lines) + width)
            lines.extend([field.start] * width)
            if not field.sparse:
                self._dense[field.dtype] = len(lines)
        self._bands = [(field, bands[field.name]) for field in self.fields]
        for dtype, lines in starts.items():
            self._starts[dtype] = np.array(lines, dtype)[:, None]
            self._matrices[dtype] = np.empty((len(lines), 0), dtype)

    @property
    def bytes_per_row(self) -> int:
        """Bytes of state one row takes."""
        return sum(matrix.shape[0] * matrix.itemsize for matrix in self._matrices.values())

    def add(self, count: int) -> NDArray[np.int64]:
        """Append ``count`` fresh rows and return their indices."""
        first, self.count = self.count, self.count + count
        for dtype, matrix in self._matrices.items():
            lines, capacity = matrix.shape
            if self.count > capacity:
                grown = np.empty((lines, max(self.count, capacity + capacity // 2)), dtype)
                grown[:, :first] = matrix[:, :first]
                self._matrices[dtype] = matrix = grown
                self._last = None
            matrix[:, first : self.count] = self._starts[dtype]
        return np.arange(first, self.count)

    def take(self, rows: "NDArray[np.int64] | slice") -> Rows:
        """The state of ``rows``: views for a slice, copies for an index array."""
        if isinstance(rows, slice) and self._last is not None and self._last[0] == rows:
            return self._last[1]
        parts = {
            # a plain index would lay each row's fields side by side, and every line be read in strides
            dtype: matrix[:, rows] if isinstance(rows, slice) else matrix.take(rows, axis=1)
            for dtype, matrix in self._matrices.items()
        }
        state = {
            field.name: parts[field.dtype][band.start if field.width is None else band]
            for field, band in self._bands
        }
        self._last = (rows, state) if isinstance(rows, slice) else self._last
        return state

    def block(self, rows: NDArray[np.int64]) -> Block:
        """The state of ``rows``, each at most once, to work on in place; `done` ends it.

        Neighbours are views; of scattered rows all is copied but sparse fields.
        """
        first, end = int(rows[0]), int(rows[-1]) + 1
        if end - first == len(rows) and bool(np.all(np.diff(rows) == 1)):
            return Block(self.take(slice(first, end)), None, {})
        parts = {
            dtype: self._matrices[dtype][:count].take(rows, axis=1) for dtype, count in self._dense.items()
        }
        state: dict[str, Any] = {}
        for field, band in self._bands:
            if field.sparse:
                state[field.name] = Band(self._matrices[field.dtype][band], rows)
            else:
                state[field.name] = parts[field.dtype][band.start if field.width is None else band]
        return Block(state, rows, parts)

    def done(self, block: Block) -> None:
        """Write back what `block` copied."""
        for dtype, part in block.parts.items():
            self._matrices[dtype][: len(part), block.rows] = part

    def put(self, rows: NDArray[np.int64], state: Rows) -> None:
        """Write back what was taken as copies."""
        for field, band in self._bands:
            lines = band.start if field.width is None else band
            self._matrices[field.dtype][lines, rows] = state[field.name]

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Let go of all rows but these, ascending, which are numbered anew; their memory is given back."""
        for dtype, matrix in self._matrices.items():
            self._matrices[dtype] = matrix.take(rows, axis=1)
        self.count, self._last = len(rows), None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Copies of every field over all rows, by name."""
        return {name: values.copy() for name, values in self.take(slice(0, self.count)).items()}

    def load(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Replace all rows by what `arrays` gave.

        Raises:
            StateError: fields or shapes are not this layout's.
        """
        names = {field.name for field in self.fields}
        if names != set(arrays):
            raise StateError(
                "the state was written by another version or for other detectors "
                f"(lacking {sorted(names - set(arrays))}, beyond {sorted(set(arrays) - names)}): "
                "run with what it was written by, or begin with a new state"
            )
        count = {values.shape[-1] for values in arrays.values()}
        if len(count) != 1:
            raise StateError(f"state fields have different row counts: {sorted(count)}")
        self.count = 0
        self.add(count.pop())
        for name, values in self.take(slice(0, self.count)).items():
            if values.shape != arrays[name].shape:
                raise ValueError(f"state field {name} has shape {arrays[name].shape}, not {values.shape}")
            values[...] = arrays[name]
