"""The cell table: partial scalar sketches at the finest cell the slices can tell apart.

A chunk is folded once, into cells; slices are made by merging cells when their bucket closes. Merging adds
integers, takes min and max, and unites point lists, so it is associative and commutative to the bit.
"""

import pyarrow as pa

from operators.settings import Slicing

#: Bins of the log histogram: bin ``i`` holds values in (GAMMA**(i-1), GAMMA**i]; 2 % relative error.
GAMMA = 1.02 / 0.98
#: The bin of values that are zero (or below 1e-9).
ZERO_BIN = -(2**15)

_NAME = pa.dictionary(pa.int32(), pa.utf8())

#: Columns every cell has beside its slice fields.
#: ``kind``: the signal's kind; ``attribute``: value of a by-attribute signal, "" for the whole.
#: ``count``: samples (for ratios: trials); ``sum``: of values, in multiples of the signal's step (for
#: ratios of yes/no: hits); ``bins``/``bin_counts``: the sparse log histogram, sorted by bin;
#: ``point_times``/``point_values``: a cumulative counter's or XID's readings, sorted by (time, value).
CELL_COLUMNS: tuple[tuple[str, pa.DataType], ...] = (
    ("bucket", pa.int64()),
    ("topic", _NAME),
    ("signal", _NAME),
    ("attribute", _NAME),
    ("count", pa.int64()),
    ("sum", pa.int64()),
    ("min", pa.float64()),
    ("max", pa.float64()),
    ("bins", pa.list_(pa.int32())),
    ("bin_counts", pa.list_(pa.int64())),
    ("point_times", pa.list_(pa.int64())),
    ("point_values", pa.list_(pa.float64())),
)


def cell_fields(slicing: Slicing) -> tuple[str, ...]:
    """Identity fields that tell cells apart: the union of the slices', in the order first named."""
    return tuple(dict.fromkeys(name for fields in slicing.sets for name in fields))


def cell_schema(slicing: Slicing) -> pa.Schema:
    """Arrow schema of the cell table for these slices; slice fields are nullable dictionary strings."""
    fields = [pa.field(name, _NAME) for name in cell_fields(slicing)]
    return pa.schema([pa.field(name, kind) for name, kind in CELL_COLUMNS] + fields)
