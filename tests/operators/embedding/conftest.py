import numpy as np
import pyarrow as pa
import pytest

from operators.embedding import EmbeddingState, project
from operators.settings import EmbeddingSettings, Settings
from schemas.chunk import Chunk

DIM = 24
_CENTRES = np.random.default_rng(5).standard_normal((12, DIM)) * 1.2
_SCALE = np.linspace(1.6, 0.4, DIM)


@pytest.fixture
def settings():
    small = EmbeddingSettings(
        projection_dim=DIM,
        features=32,
        clusters=12,
        axes=6,
        fit_rows=400,
        window_rows=100,
        reference_windows=8,
    )
    return Settings(embeddings=small)


class Stream:
    """A service that embeds 10 answers a second, bucket by bucket."""

    def __init__(self, seed=0, per_bucket=100):
        self.random = np.random.default_rng(seed)
        self.per_bucket = per_bucket

    def vectors(self, rows, shift=0.0):
        x = self.random.standard_normal((rows, DIM)) * _SCALE + _CENTRES[self.random.integers(12, size=rows)]
        return x / np.linalg.norm(x, axis=1, keepdims=True) + shift

    def chunk(
        self, bucket_ms, shift=0.0, *, side="output", version="e1", replicas=1, rows=None, vectors=None
    ):
        rows = rows or self.per_bucket
        x = self.vectors(rows, shift) if vectors is None else vectors
        times = bucket_ms + self.random.integers(10_000, size=rows)
        names = {
            "service": ["chat"] * rows,
            "service_version": ["v1"] * rows,
            "request_model": ["m"] * rows,
            "replica": [f"r{place}" for place in self.random.integers(replicas, size=rows)],
            "request_id": [f"{bucket_ms}-{place}" for place in self.random.permutation(rows)],
            "side": [side] * rows,
            "embedder_version": [version] * rows,
        }
        columns = {"event_time": pa.array(times)}
        columns |= {name: pa.array(values).dictionary_encode() for name, values in names.items()}
        columns["vector"] = pa.FixedSizeListArray.from_arrays(
            pa.array(x.astype(np.float32).ravel()), x.shape[1]
        )
        return Chunk("telemetry.embeddings.v1", "embeddings", pa.RecordBatch.from_pydict(columns))


@pytest.fixture
def stream():
    return Stream()


@pytest.fixture
def drive(settings):
    """Runs a state over buckets: ``drive(state, stream, first, last, **chunk options)`` in minutes."""

    def go(state, stream, first, last, **options):
        verdicts = []
        for bucket_ms in range(first * 60_000, last * 60_000, 10_000):
            state.add(pa.Table.from_batches([project(stream.chunk(bucket_ms, **options), settings)]))
            verdicts += state.close(bucket_ms)
        return verdicts

    return go


@pytest.fixture
def state(settings):
    return EmbeddingState(settings)
