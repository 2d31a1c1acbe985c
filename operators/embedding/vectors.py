"""At the source vectors become their fixed random projection in float16; nothing else of them travels."""

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.cells import cell_fields
from operators.settings import Settings
from schemas.chunk import Chunk

TOPIC = "telemetry.embeddings.v1"
_NAME = pa.dictionary(pa.int32(), pa.utf8())
_LARGEST = float(np.finfo(np.float16).max)
#: Rows are padded to a multiple of this: a product of another height may round otherwise.
_TILE = 16


def identity_fields(settings: Settings) -> tuple[str, ...]:
    """Identity fields a projected row carries: those the slices need, and what shards it."""
    return tuple(dict.fromkeys(("service", "request_model", *cell_fields(settings.slices))))


def vector_schema(settings: Settings) -> pa.Schema:
    """Arrow schema of projected rows.

    ``bucket``: start, Unix ms; ``request``: hash of the request id; ``dim``: the vector's own dimension;
    ``x``: its projection, as many numbers as the smaller of ``dim`` and ``projection_dim``.
    """
    return pa.schema(
        [
            ("topic", _NAME),
            ("side", _NAME),
            ("embedder_version", _NAME),
            ("bucket", pa.int64()),
            ("request", pa.uint64()),
            ("dim", pa.int32()),
            *((name, _NAME) for name in identity_fields(settings)),
            ("x", pa.list_(pa.float16())),
        ]
    )


def project(chunk: Chunk, settings: Settings) -> pa.RecordBatch:
    """Projected rows of a chunk of embeddings, row for row in its order; columns as `vector_schema`."""
    batch = chunk.batch
    rows = batch.num_rows
    schema = vector_schema(settings)
    column = batch.column("vector")
    dim = column.type.list_size
    vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(rows, dim)
    versions = batch.column("embedder_version")
    # one chunk holds one embedder version and dimension
    version = versions[0].as_py() if rows else ""
    x = projected(vectors, version, settings.embeddings.projection_dim)
    bucket_ms = settings.windows.bucket_s * 1000
    times = batch.column("event_time").to_numpy(zero_copy_only=False).astype(np.int64)
    columns: dict[str, pa.Array] = {
        "topic": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([chunk.topic])),
        "bucket": pa.array(times // bucket_ms * bucket_ms),
        "request": pa.array(_hashes(batch.column("request_id"))),
        "dim": pa.array(np.full(rows, dim, np.int32)),
        "x": pa.ListArray.from_arrays(
            pa.array(np.arange(rows + 1, dtype=np.int32) * x.shape[1]), pa.array(x.reshape(-1))
        ),
    }
    for name in ("side", "embedder_version", *identity_fields(settings)):
        known = name in batch.schema.names
        columns[name] = batch.column(name).cast(_NAME) if known else pa.nulls(rows, _NAME)
    return pa.RecordBatch.from_arrays([columns[field.name] for field in schema], schema=schema)


def projected(vectors: npt.NDArray[np.floating], version: str, width: int) -> npt.NDArray[np.float16]:
    """Vectors [rows, dim] turned (dim <= width) or projected to ``width``, norms kept on average; float16."""
    rows, dim = vectors.shape
    matrix = directions(version, dim, width)
    padded = np.zeros((-(-max(rows, 1) // _TILE) * _TILE, dim), np.float32)
    padded[:rows] = vectors
    return np.clip(padded @ matrix, -_LARGEST, _LARGEST)[:rows].astype(np.float16)


@lru_cache(maxsize=16)
def directions(version: str, dim: int, width: int) -> npt.NDArray[np.float32]:
    """f32 [dim, min(dim, width)] with orthonormal columns, scaled so that squared norms keep their mean."""
    seed = int.from_bytes(hashlib.blake2b(version.encode(), digest_size=8).digest(), "big")
    kept = min(dim, width)
    random = np.random.default_rng([seed, dim, kept])
    directions = np.linalg.qr(random.standard_normal((dim, kept)))[0]
    return np.ascontiguousarray(directions * np.sqrt(dim / kept), dtype=np.float32)


def _hashes(column: pa.Array) -> npt.NDArray[np.uint64]:
    """uint64 of each request id: the order in which rows are sampled, whatever order they came in."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    digests = [
        int.from_bytes(hashlib.blake2b((name or "").encode(), digest_size=8).digest(), "big")
        for name in column.dictionary.to_pylist()
    ]
    hashes: npt.NDArray[np.uint64] = np.array(digests, np.uint64)
    of_rows: npt.NDArray[np.uint64] = hashes[column.indices.to_numpy(zero_copy_only=False)]
    return of_rows
