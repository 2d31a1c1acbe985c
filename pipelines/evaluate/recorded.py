"""Incidents as a run wrote them to its output folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec


def incidents(output: Path) -> Iterator[dict[str, Any]]:
    """Every version of every incident in an output folder: the bodies of ``incidents.v1``."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    for path in sorted((output / "incidents.v1").glob("*.ndjson")):
        for event in decoder.decode_lines(path.read_bytes()):
            yield event["data"]
