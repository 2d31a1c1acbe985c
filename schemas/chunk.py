"""A chunk: the accepted samples of one record, columnar. Everything an engine moves is made of these."""

from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

Form = Literal["requests", "embeddings", "gpu", "metrics", "changes"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Accepted samples of one form, from one topic.

    ``batch`` holds the columns of the form's record struct, in its field order, and only those with at
    least one non-null value. Strings are ``dictionary<int32, utf8>``, ``event_time`` (and ``ends_at``)
    int64 Unix milliseconds, numbers int64 or float64, ``vector`` ``fixed_size_list<float32, dim>``
    (one chunk holds one (embedder_version, dim)), lists and maps plain Arrow. ``row`` (int32) is the sample's
    index in its record. Metrics from OpenTelemetry histograms have the columns ``hist_bounds`` and
    ``hist_counts`` (lists) instead of a meaningful ``value``.
    """

    topic: str
    form: Form
    batch: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused sample. ``value`` is kept only for JSON that parses and holds neither vector nor text."""

    reason: str
    detail: str
    length: int
    sha256: str
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one record became: accepted chunks, refused samples, and what was ignored, by name."""

    chunks: tuple[Chunk, ...] = ()
    refused: tuple[Refusal, ...] = ()
    ignored: dict[str, int] = field(default_factory=dict)
    unknown_fields: dict[str, int] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """Accepted samples."""
        return sum(chunk.batch.num_rows for chunk in self.chunks)

    @property
    def samples(self) -> int:
        """All samples of the record: accepted, refused and ignored."""
        return self.accepted + len(self.refused) + sum(self.ignored.values())
