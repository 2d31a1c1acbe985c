"""One river object a row, fed that row's standardised residuals: river's detectors beside our own.

They run only where config names them: an object costs a few microseconds a window and up to a few KiB. What
they see continuously goes through the same learnt tails as any statistic; where they only flag, the flag's
own frequency on the row is its event rate.
"""

import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detectors.channel import Detector, Window


class PerRow(Detector):
    """A detector that keeps an object a row; a row's slot is its object's place, -1 before the first."""

    def __init__(self) -> None:
        self._name = self.id.partition("/")[0]
        self._slot = f"{self._name}_slot"
        self.fields = (*self.fields, Field(self._slot, None, "i4", -1))
        self._objects: list[Any] = []

    def create(self) -> Any:
        """A fresh object."""
        raise NotImplementedError

    def objects(self, state: Rows, window: Window) -> list[tuple[int, Any]]:
        """(row in the block, object) of every row that has a value in this window."""
        slots = state[self._slot]
        rows = np.flatnonzero(window.active & window.chosen.get(self.id, np.True_))
        for row in rows[slots[rows] < 0].tolist():
            slots[row] = len(self._objects)
            self._objects.append(self.create())
        return [(row, self._objects[slots[row]]) for row in rows.tolist()]

    def settle(self, state: Rows, rows: NDArray[np.int64]) -> None:
        """See `Detector.settle`."""
        for slot in state[self._slot][rows].tolist():
            if slot >= 0:
                self._objects[slot] = self.create()

    def keep(self, state: Rows) -> None:
        """See `Detector.keep`."""
        slots = state[self._slot]
        held = np.flatnonzero(slots >= 0)
        self._objects = [self._objects[slot] for slot in slots[held].tolist()]
        slots[held] = np.arange(len(held))

    def dump(self) -> bytes:
        """See `Detector.dump`."""
        return pickle.dumps(self._objects, protocol=5)

    def load(self, data: bytes) -> None:
        """See `Detector.load`."""
        self._objects = pickle.loads(data)  # noqa: S301 - our own snapshot
