"""Windows that were closed before, from their rows: what a shard learns from when it starts warm."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.shard.hashing import field_hashes
from operators.shard.routing import shard_of
from operators.shard.sketches import Ints, Sketches, runs, take
from operators.shard.slices import MEASURE


class Past(NamedTuple):
    """One shard's part of one window: its sketches, sorted by key, and what their bases are called.

    ``codes``: by column, [n] into ``values``, -1 where absent; as `Catalogue.add` takes them.
    """

    start: int
    rows: Sketches
    codes: dict[str, Ints]
    values: dict[str, tuple[str, ...]]


def windows(
    table: pa.Table, fields: Sequence[str], shards: int, window_ms: int
) -> Iterator[tuple[int, Past]]:
    """Shard and window of all that is in ``table``, in order of time.

    Args:
        table: rows as `schemas.tables.BUCKETS`, absent names empty or null; each (base, window) at most once.
        fields: identity fields that slices are made by.
        shards: how many there are.
        window_ms: length of a window; rates of counters are taken to cover it.
    """
    names = (*MEASURE, *fields)
    codes: dict[str, Ints] = {}
    values: dict[str, tuple[str, ...]] = {}
    key = np.zeros(table.num_rows, np.uint64)
    for name in names:
        column = pc.fill_null(table.column(name).cast(pa.utf8()), "").combine_chunks()
        encoded = column.dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        code = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        if name not in MEASURE and "" in texts:  # the whole of a signal is called "", but no service is
            code = np.where(code == texts.index(""), -1, code)
        codes[name], values[name] = code, tuple(texts)
        key = key + np.append(field_hashes(name, texts), np.uint64(0))[code]
    start = table.column("bucket_start").cast(pa.int64()).to_numpy()
    shard = _shards(codes, values, shards)
    order = np.lexsort((key, shard, start))
    sketches = take(_sketches(table, key, window_ms), order)
    start, shard = start[order], shard[order]
    edges = np.append(runs(start, shard), len(start))
    for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        rows = take(sketches, np.arange(first, end))
        part = {name: code[order[first:end]] for name, code in codes.items()}
        yield int(shard[first]), Past(int(start[first]), rows, part, values)


def _shards(codes: dict[str, Ints], values: dict[str, tuple[str, ...]], shards: int) -> Ints:
    none = np.full(len(codes["signal"]), -1, np.int64)
    places = np.stack([codes.get("service", none), codes.get("request_model", none), codes["signal"]])
    services, models = ((*values.get(name, ()), None) for name in ("service", "request_model"))
    distinct, inverse = np.unique(places, axis=1, return_inverse=True)
    found = [
        shard_of(services[service], models[model], values["signal"][signal], shards)
        for service, model, signal in distinct.T.tolist()
    ]
    return np.array(found, np.int64)[inverse.ravel()]


def _sketches(table: pa.Table, key: "np.ndarray[tuple[int], np.dtype[np.uint64]]", span: int) -> Sketches:
    bins = table.column("bins").combine_chunks()
    counts = table.column("bin_counts").combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(bins), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    number = {
        name: table.column(name).to_numpy().astype(np.float64 if name in ("min", "max") else np.int64)
        for name in ("count", "sum", "min", "max")
    }
    return Sketches(
        key=key,
        count=number["count"],
        total=number["sum"],
        span=np.full(len(key), span, np.int64),
        low=number["min"],
        high=number["max"],
        bin_row=np.repeat(np.arange(len(key)), lengths),
        bin=bins.flatten().to_numpy().astype(np.int64),
        bin_count=counts.flatten().to_numpy().astype(np.int64),
    )
