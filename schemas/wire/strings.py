"""Arrow strings in any encoding to the one a chunk has, ``dictionary<int32, utf8>`` of distinct values."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.wire.reasons import MAX_BYTES, Refused


def is_string(kind: pa.DataType) -> bool:
    """Whether this is a string type, plain or as the values of a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def encode_strings(values: pa.Array) -> pa.DictionaryArray:
    """Strings as a dictionary whose values are distinct and not null."""
    if not pa.types.is_dictionary(values.type):
        return _plain(values).dictionary_encode()
    indices = values.indices.cast(pa.int32())
    distinct = _plain(values.dictionary).dictionary_encode()
    if len(distinct.dictionary) == len(values.dictionary):
        return pa.DictionaryArray.from_arrays(indices, distinct.dictionary)
    return pa.DictionaryArray.from_arrays(distinct.indices.take(indices), distinct.dictionary)


def _plain(values: pa.Array) -> pa.StringArray:
    """Large and view strings to ``utf8``."""
    if pa.types.is_string_view(values.type):
        values = _sound_views(values)
    return values if values.type == pa.utf8() else pc.cast(values, pa.utf8())


def _sound_views(values: pa.StringViewArray) -> pa.Array:
    """String views that are safe to expand.

    Views may overlap, so their total length is checked first. Those of null slots are not validated by Arrow
    but read when cast (pyarrow 25), so they are emptied.
    """
    validity, views, *data = values.buffers()
    count = len(values)
    held = np.frombuffer(views, np.int32, count=4 * (values.offset + count)).reshape(-1, 4)[values.offset :]
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    if held[valid, 0].sum(dtype=np.int64) > MAX_BYTES:
        raise Refused("too_large", f"over {MAX_BYTES} bytes once expanded")
    if validity is None or valid.all():
        return values
    emptied = np.where(valid[:, None], held, np.int32(0))
    sound = pa.Array.from_buffers(pa.string_view(), count, [None, pa.py_buffer(emptied.tobytes()), *data])
    return pc.if_else(pa.array(valid), pc.cast(sound, pa.utf8()), pa.scalar(None, pa.utf8()))
