"""Arrow's list types and number types, told apart and taken apart."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.wire.reasons import MAX_BYTES, Refused


def is_number(kind: pa.DataType) -> bool:
    """Whether this is an integer or floating type; decimals and booleans are not."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether this is any of Arrow's list types."""
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def flatten(values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The items of the lists that are not null, in order, and where each list ends (n + 1 offsets)."""
    lengths = pc.list_value_length(values).fill_null(0).to_numpy()
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    # Views may overlap: a record's bytes bound what they expand to no longer.
    if ends[-1] > MAX_BYTES:
        raise Refused("too_large", f"more than {MAX_BYTES} list items")
    return values.flatten(), ends
