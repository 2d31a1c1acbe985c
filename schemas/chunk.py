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
    index in its record. A change's versions are in the columns ``from`` and ``to``, as on the wire.

    Metrics have canonical signals in their canonical unit, and ``unit`` and ``temporality`` always. A code
    of ``DCGM_FI_DEV_XID_ERRORS`` is ``hw.errors`` by ``xid``, temporality ``gauge``: an occurrence when it
    changes. Metrics from OpenTelemetry may have, beside these:

    * ``stream`` (int64): a stable number for the one time series of a point: its metric's name and all
      attributes, also those that are no identity. Cumulative values are differenced within it.
    * ``start_time`` (int64 ms): when a delta or cumulative point began to count; absent where not told.
    * for histograms, ``value`` null and ``hist_bounds`` (list<float64>, ascending, in the signal's unit),
      ``hist_counts`` (list<int64>, one longer; bucket i holds values in (bounds[i-1], bounds[i]], the first
      and last open), ``hist_sum`` (float64, sum of the values, absent where not told) and ``sample_count``.
      No bounds: one bucket of all. With temporality ``cumulative`` counts and sum are totals since
      ``start_time``. Exponential histograms are brought to the same form; their bounds may differ from
      point to point of one stream.
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
