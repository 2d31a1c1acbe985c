"""Closed buckets as rows of the buckets table."""

import numpy as np
import pyarrow as pa

from operators.shard.catalogue import Catalogue
from operators.shard.sketches import Ints, Sketches
from schemas.tables import BUCKETS


def bucket_rows(start: Ints, bucket_s: int, rows: Sketches, catalogue: Catalogue, index: Ints) -> pa.Table:
    """One row per base and closed bucket, columns as `schemas.tables.BUCKETS`, names as dictionaries.

    Args:
        start: [n] of the bucket, Unix ms.
        bucket_s: its length, s.
        rows: n sketches.
        catalogue: what they are of.
        index: [n] their bases.
    """
    offsets = np.searchsorted(rows.bin_row, np.arange(len(rows) + 1)).astype(np.int32)
    columns = {
        "bucket_start": pa.array(start),
        "bucket_s": pa.array(np.full(len(rows), bucket_s, np.uint32)),
        "count": pa.array(rows.count),
        "sum": pa.array(rows.total),
        "min": pa.array(rows.low, from_pandas=True),
        "max": pa.array(rows.high, from_pandas=True),
        "bins": pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.bin.astype(np.int32))),
        "bin_counts": pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.bin_count)),
    }
    for place, name in enumerate(catalogue.columns):
        codes = catalogue.codes[index, place]
        columns[name] = pa.DictionaryArray.from_arrays(
            pa.array(codes, mask=codes < 0), pa.array(list(catalogue.names[place]), pa.utf8())
        )
    return pa.table({field.name: columns[field.name] for field in BUCKETS if field.name in columns})
