"""What became of timelines, kept in files: a long evaluation may be interrupted and taken up again."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipelines.evaluate.timelines import Timeline
from pipelines.evaluate.variants import Variant
from pipelines.evaluate.watch import Watched


def name(timeline: Timeline, variants: Sequence[Variant]) -> str:
    """File of a timeline watched by these variants: the same for the same, on every machine."""
    asked = repr((timeline, [(each.settings.config_hash(), each.without) for each in variants]))
    return f"{timeline.name}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.json"


def read(path: Path) -> list[Watched] | None:
    """What was kept; None where there is nothing."""
    return msgspec.json.decode(path.read_bytes(), type=list[Watched]) if path.is_file() else None


def write(path: Path, watched: list[Watched]) -> None:
    """Keep it, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(watched))
    part.replace(path)
