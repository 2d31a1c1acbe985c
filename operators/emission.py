"""What a shard hands out after closing buckets; sinks take it from here."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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


def by_window(emission: Emission) -> Iterator[Emission]:
    """An emission in parts that follow from the windows alone: rows of one kind and one window each.

    How many windows an emission spans depends on how the messages behind it were cut; its parts do not.
    Written one by one they get the same insert tokens after any replay. Changes and edges come first, events
    last.
    """
    if emission.changes or emission.edges or emission.late:
        yield replace(emission, events=(), windows=(), buckets=None)
    about: dict[str, Any] = {
        "shard": emission.shard,
        "first_ms": emission.first_ms,
        "last_ms": emission.last_ms,
    }
    if emission.buckets is not None:
        starts = emission.buckets.column("bucket_start")
        for start in pc.unique(starts):
            yield Emission(**about, buckets=emission.buckets.filter(pc.equal(starts, start)))
    for start in sorted({window.window_start for window in emission.windows}):
        of = tuple(window for window in emission.windows if window.window_start == start)
        yield Emission(**about, windows=of)
    for time in sorted({event.updated_at for event in emission.events}):
        yield Emission(**about, events=tuple(event for event in emission.events if event.updated_at == time))
