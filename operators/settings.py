"""Every setting that can change an event, in frozen structs; `pipelines.config` reads them from YAML.

``config_hash`` of an event is taken over `Settings` alone: where data comes from or goes to is not here.
"""

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

Positive = Annotated[float, Meta(gt=0)]

#: Slices by default. A slice by another field is fed only by samples that carry it.
DEFAULT_SLICES: tuple[tuple[str, ...], ...] = (
    ("service", "request_model", "service_version"),
    ("service", "request_model", "service_version", "replica"),
    ("service", "request_model", "service_version", "gpu"),
    ("service", "request_model", "service_version", "region"),
    ("service", "request_model", "service_version", "route"),
    ("service", "request_model"),
)


class Windows(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Event-time buckets and lateness, in seconds."""

    bucket_s: Annotated[int, Meta(ge=1, le=3600)] = 10
    lateness_s: Annotated[int, Meta(ge=0, le=86400)] = 30
    idle_s: Annotated[int, Meta(ge=1)] = 60
    detect_s: Annotated[int, Meta(ge=1, le=86400)] = 60
    ahead_s: Annotated[int, Meta(ge=1)] = 300


class Slicing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which slices series are made for, and how many of each slice are kept apart.

    ``attribute_cap``: how many finish reasons, error types and throttle reasons a series keeps apart.
    """

    sets: tuple[tuple[str, ...], ...] = DEFAULT_SLICES
    cap: Annotated[int, Meta(ge=1)] = 20_000
    attribute_cap: Annotated[int, Meta(ge=1)] = 16


class AlarmBudget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mean event time between false alarm onsets of a (signal, slice), days; FDR of onsets in ten windows."""

    per_series_days: Positive = 90.0
    fleet_fdr: Annotated[float, Meta(gt=0, lt=1)] = 0.05


def river_detectors() -> dict[str, tuple[str, ...]]:
    """Where river's detectors run by default: on what users feel first, at an object a series."""
    return {
        "gen_ai.server.time_to_first_token p50": ("+adwin/1", "+page_hinkley/1"),
        "gen_ai.server.errors ratio": ("+hddm_w/1",),
    }


class Detection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which detectors run: ``detectors``, or the bank's own choice where that is empty.

    ``per_signal`` replaces them for a signal (``gen_ai.server.errors``) or for one of its statistics
    (``gen_ai.server.errors ratio``), the latter before the former; a detector with a plus before it
    (``+adwin/1``) comes to those that run anyway. ``budget_shares``: the share of its alarm budget that a
    detector keeps on a series, by event fingerprint, where labels found it wrong too often.
    """

    detectors: tuple[str, ...] = ()
    per_signal: dict[str, tuple[str, ...]] = msgspec.field(default_factory=river_detectors)
    alarm_budget: AlarmBudget = AlarmBudget()
    budget_shares: dict[str, Annotated[float, Meta(gt=0, le=1)]] = msgspec.field(default_factory=dict)


class SentinelSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sentinels for the vectors of one embedder version and side; a config names the file they are in.

    ``centroids``: float32 [centroids, dim], little-endian; ``of``: the place in ``names`` of each.
    """

    embedder_version: str
    side: Literal["output", "prompt"]
    dim: Annotated[int, Meta(ge=1)]
    names: tuple[Annotated[str, Meta(pattern="^[a-z0-9_-]{1,40}$")], ...]
    of: tuple[Annotated[int, Meta(ge=0)], ...]
    centroids: bytes

    def told(self) -> str:
        """For people: names, model and dimension."""
        names = ", ".join(self.names)
        return f"{names} ({self.side}s of {self.embedder_version}, {self.dim} dimensions)"


class EmbeddingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The embedding path: projection width, features, how references are built, and sentinels, if any.

    A run without sentinels has the hash that it had before there were any.
    """

    projection_dim: Annotated[int, Meta(ge=8, le=4096)] = 384
    features: Annotated[int, Meta(ge=16, le=8192)] = 512
    clusters: Annotated[int, Meta(ge=2, le=1024)] = 64
    axes: Annotated[int, Meta(ge=1, le=512)] = 32
    fit_rows: Annotated[int, Meta(ge=64)] = 4096
    window_rows: Annotated[int, Meta(ge=16)] = 200
    reference_windows: Annotated[int, Meta(ge=8)] = 20
    sentinels: tuple[SentinelSet, ...] | msgspec.UnsetType = msgspec.UNSET


class LifecycleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hysteresis of an episode, in detection windows, and its cooldown, in seconds."""

    confirm: Annotated[int, Meta(ge=1)] = 1
    clear: Annotated[int, Meta(ge=1)] = 5
    cooldown_s: Annotated[int, Meta(ge=0)] = 900
    refresh_s: Annotated[int, Meta(ge=1)] = 60


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of the core."""

    shards: Annotated[int, Meta(ge=1, le=4096)] = 4
    deduplicate: bool = True
    windows: Windows = Windows()
    slices: Slicing = Slicing()
    detection: Detection = Detection()
    embeddings: EmbeddingSettings = EmbeddingSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()

    def config_hash(self) -> str:
        """First 12 hex digits of SHA-256 over the canonical JSON of these settings."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:12]
