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
    """Large and view strings to ``utf8``; views may overlap, so their total length is checked first."""
    if pa.types.is_string_view(values.type) and len(values):
        views = np.frombuffer(values.buffers()[1], np.int32).reshape(-1, 4)
        lengths = views[values.offset : values.offset + len(values), 0].astype(np.int64)
        if values.null_count:
            lengths = lengths[values.is_valid().to_numpy(zero_copy_only=False)]
        if lengths.sum() > MAX_BYTES:
            raise Refused("too_large", f"over {MAX_BYTES} bytes once expanded")
    return values if values.type == pa.utf8() else pc.cast(values, pa.utf8())
