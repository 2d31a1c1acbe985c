"""The bases a shard knows: what is measured for whom, and where each one's statistics stand in the bank.

A base is (topic, signal, attribute, slice): one sketch, several statistics. Bases get their index in an order
that depends on the closed windows alone, never on arrival.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from operators.series import SeriesKey, Slice, slice_of
from operators.shard.hashing import field_hashes
from operators.shard.sketches import Floats, Hashes, Ints
from operators.shard.slices import MEASURE
from operators.shard.statistics import SLOTS, STARTED, Form, measure
from operators.shard.words import is_open

#: Forms that stand on the samples of another base.
_PARTS = (Form.SHARE, Form.PORTION, Form.COMPLETED)


class Base(NamedTuple):
    """One base; ``slice`` as in `operators.series.SeriesKey`."""

    topic: str
    signal: str
    attribute: str
    slice: Slice

    def series(self) -> tuple[SeriesKey, ...]:
        """Its series, one per statistic, in slot order."""
        found = measure(self.topic, self.signal, self.attribute)
        return tuple(
            SeriesKey(self.topic, self.signal, statistic, None, self.slice, found.kind, found.unit)
            for statistic in found.statistics
        )


class Catalogue:
    """Known bases as arrays over their index.

    ``keys``: hashes; ``form``, ``step``: of `operators.shard.statistics`; ``whole``: index of the base that a
    share's trials or a completion's arrivals are of, -1 for none; ``counted``: none means zero, not unknown;
    ``rows``: bank rows by slot, -1 for none; ``codes``: [n, columns] into ``names``, -1 where absent;
    ``words``: how many words of an open vocabulary a series has, by the hash of all but its attribute.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        self.columns = (*MEASURE, *fields)
        self.bases: list[Base] = []
        self.keys: Hashes = np.zeros(0, np.uint64)
        self.form: Ints = np.zeros(0, np.int64)
        self.step: Floats = np.zeros(0)
        self.whole: Ints = np.zeros(0, np.int64)
        self.counted: npt.NDArray[np.bool_] = np.zeros(0, bool)
        self.rows: Ints = np.zeros((0, SLOTS), np.int64)
        self.codes: npt.NDArray[np.int32] = np.zeros((0, len(self.columns)), np.int32)
        self.words: Counter[int] = Counter()
        self.names: list[dict[str, int]] = [{} for _ in self.columns]
        self._order: Ints = np.zeros(0, np.int64)
        self._places: dict[Base, int] = {}

    def __len__(self) -> int:
        return len(self.bases)

    def find(self, keys: Hashes) -> Ints:
        """Index of each key's base, -1 where it is not known."""
        if not len(self):
            return np.full(len(keys), -1, np.int64)
        place = np.searchsorted(self.keys, keys, sorter=self._order)
        index = self._order[np.minimum(place, len(self) - 1)]
        return np.where(self.keys[index] == keys, index, -1)

    def place(self, base: Base) -> int:
        """Index of a base, -1 where it is not known."""
        return self._places.get(base, -1)

    def add(
        self, keys: Hashes, codes: dict[str, Ints], values: dict[str, tuple[str, ...]]
    ) -> tuple[Ints, list[SeriesKey]]:
        """Enter new bases.

        Args:
            keys: [n] their hashes, not known yet.
            codes: by column, [n] codes into ``values``, -1 where absent.
            values: by column, its names.

        Returns:
            Their indices, and their series in the order of the bank rows they are to get (`assign`).
        """
        texts = {name: (*values[name], None) for name in self.columns}
        entered = []
        for row in range(len(keys)):
            named = {name: texts[name][codes[name][row]] for name in self.columns}
            slice_ = slice_of({name: named[name] for name in self.columns[len(MEASURE) :]})
            entered.append(
                Base(named["topic"] or "", named["signal"] or "", named["attribute"] or "", slice_)
            )
        order = sorted(range(len(keys)), key=entered.__getitem__)
        first = len(self)
        self.restore_bases([entered[place] for place in order], keys[order])
        return np.arange(first, len(self)), [key for base in self.bases[first:] for key in base.series()]

    def assign(self, index: Ints, rows: Ints) -> None:
        """Give the bases at ``index`` their bank rows, one per statistic, in the order `add` named them."""
        taken = 0
        for place in index.tolist():
            width = len(self.bases[place].series())
            self.rows[place, :width] = rows[taken : taken + width]
            taken += width

    def restore_bases(self, bases: Sequence[Base], keys: Hashes) -> None:
        """Append bases with their hashes, in this order, without bank rows."""
        first = len(self)
        measures = [measure(*base[:3]) for base in bases]
        codes = np.full((len(bases), len(self.columns)), -1, np.int32)
        for row, base in enumerate(bases):
            named = {"topic": base.topic, "signal": base.signal, "attribute": base.attribute} | dict(
                base.slice
            )
            for column, name in enumerate(self.columns):
                if (text := named.get(name)) is not None:
                    codes[row, column] = self.names[column].setdefault(text, len(self.names[column]))
            self._places[base] = first + row
            if is_open(base.signal, base.attribute):
                word = field_hashes("attribute", [base.attribute])
                self.words[(int(keys[row]) - int(word[0])) % 2**64] += 1
        self.bases.extend(bases)
        self.keys = np.concatenate([self.keys, keys])
        self.form = np.concatenate([self.form, np.array([m.form for m in measures], np.int64)])
        self.step = np.concatenate([self.step, np.array([m.step for m in measures], np.float64)])
        counted = [m.kind == "count" and m.form in (Form.RATE, Form.COMPLETED) for m in measures]
        self.counted = np.concatenate([self.counted, np.array(counted, bool)])
        self.codes = np.concatenate([self.codes, codes])
        self.rows = np.concatenate([self.rows, np.full((len(bases), SLOTS), -1, np.int64)])
        self._order = np.argsort(self.keys, kind="stable")
        self.whole = np.concatenate([self.whole, np.full(len(bases), -1, np.int64)])
        # a part may have been seen before its whole: all that lack theirs look again
        for part in np.flatnonzero((self.whole < 0) & np.isin(self.form, _PARTS)).tolist():
            base = self.bases[part]
            self.whole[part] = self.place(
                base._replace(attribute=STARTED if self.form[part] == Form.COMPLETED else "")
            )

    def snapshot(self) -> tuple[list[Any], dict[str, npt.NDArray[Any]]]:
        """Plain values and arrays, for the state codec."""
        return [list(base) for base in self.bases], {"keys": self.keys, "rows": self.rows}

    def restore(self, values: Sequence[Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take over what `snapshot` gave."""
        bases = [
            Base(topic, signal, attribute, tuple((name, value) for name, value in slice_))
            for topic, signal, attribute, slice_ in values
        ]
        self.restore_bases(bases, arrays["keys"])
        self.rows = arrays["rows"]
