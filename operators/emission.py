"""What a shard hands out after closing buckets; sinks take it from here."""

from dataclasses import dataclass, field

import pyarrow as pa

from schemas.outputs import AnomalyEvent, AnomalyWindow
from schemas.records import ChangeRecord


@dataclass(frozen=True, slots=True)
class Emission:
    """Outputs of one step of one shard.

    ``buckets``: one row per closed (series, bucket), columns as `schemas.tables.BUCKETS`, or None.
    ``late``: samples by topic that came below a closed bucket (reason ``after_idle``), shard 0 only.
    ``first_ms``/``last_ms``: the closed buckets' range, which the insert tokens are made from.
    """

    shard: int
    first_ms: int | None = None
    last_ms: int | None = None
    events: tuple[AnomalyEvent, ...] = ()
    windows: tuple[AnomalyWindow, ...] = ()
    buckets: pa.Table | None = None
    changes: tuple[ChangeRecord, ...] = ()
    edges: tuple[tuple[str, str, str], ...] = ()
    late: dict[str, int] = field(default_factory=dict)
