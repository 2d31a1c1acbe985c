"""A series: what is measured (topic, signal, statistic, side) for whom (a slice of identity fields).

Its fingerprint and the ids of its events are fixed by the wire: others compute the same ones.
"""

import hashlib
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from schemas.identity import IDENTITY_FIELDS
from schemas.signals import Kind

#: Namespace of event ids: RFC 9562's namespace for URLs.
EVENT_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
#: Before the name of a sentinel: the statistic of vectors that lie near it.
NEAR = "near:"

#: Whom a series is of: (identity field, value) pairs in canonical field order, absent fields left out.
Slice = tuple[tuple[str, str], ...]

_ORDER = {name: place for place, name in enumerate(IDENTITY_FIELDS)}


class SeriesKey(NamedTuple):
    """One series: statistic of a signal of a topic, for one slice.

    Two slices with the same fields and values are one. ``side`` is set for embeddings only. ``kind`` and
    ``unit`` are the signal's: they follow from it and take no part in the fingerprint.
    """

    topic: str
    signal: str
    statistic: str
    side: str | None
    slice: Slice
    kind: Kind
    unit: str

    @property
    def identity(self) -> dict[str, str]:
        """The slice as a map of identity fields."""
        return dict(self.slice)


def slice_of(fields: Mapping[str, str | None]) -> Slice:
    """Identity fields as a slice: canonical order, absent fields left out."""
    present = [(name, value) for name, value in fields.items() if value is not None]
    return tuple(sorted(present, key=lambda pair: _ORDER[pair[0]]))


@lru_cache(maxsize=65_536)
def fingerprint(key: SeriesKey, detector: str) -> str:
    """Which problem an event is about: 16 hex digits, the same for every episode of a series and detector.

    Args:
        key: the series.
        detector: id with version, ``name/version``.

    Returns:
        The first 8 bytes, hex, of SHA-256 over the sorted ``k=v`` lines, joined by a newline.
    """
    fields = {"topic": key.topic, "signal": key.signal, "statistic": key.statistic, "detector": detector}
    if key.side is not None:
        fields["side"] = key.side
    lines = sorted(f"{name}={value}" for name, value in (fields | key.identity).items())
    return hashlib.sha256("\n".join(lines).encode()).digest()[:8].hex()


def event_id(detector: str, series_fingerprint: str, window_start_ms: int) -> uuid.UUID:
    """Id of the episode that began at ``window_start_ms`` (Unix ms) on the series with this fingerprint."""
    return uuid.uuid5(EVENT_NAMESPACE, f"driftline|{detector}|{series_fingerprint}|{window_start_ms}")
