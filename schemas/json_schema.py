"""JSON Schema files of the topics, of the structs (``python -m schemas.json_schema --write|--check``)."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from schemas.events import AnomalyBody, IncidentBody
from schemas.records import ChangeRecord, EmbeddingSample, GpuSample, MetricSample, RequestSample

FOLDER = Path(__file__).parent / "json"

#: The struct behind each topic that has a schema.
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "telemetry.requests.v1": RequestSample,
    "telemetry.embeddings.v1": EmbeddingSample,
    "telemetry.gpu.v1": GpuSample,
    "telemetry.metrics.v1": MetricSample,
    "changes.v1": ChangeRecord,
    "anomalies.v1": AnomalyBody,
    "incidents.v1": IncidentBody,
}


def schema(topic: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of one JSON object of a topic. Fields it does not name are allowed."""
    made = msgspec.json.schema(STRUCTS[topic], ref_template="#/$defs/{name}")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": topic} | made


def _path(topic: str) -> Path:
    return FOLDER / f"{topic}.schema.json"


def _text(topic: str) -> str:
    return json.dumps(schema(topic), indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the files, or name those that differ from the structs (exit code 1)."""
    if list(arguments) == ["--write"]:
        FOLDER.mkdir(exist_ok=True)
        for topic in STRUCTS:
            _path(topic).write_text(_text(topic), encoding="utf-8")
        return 0
    if list(arguments) != ["--check"]:
        print("usage: python -m schemas.json_schema --write|--check", file=sys.stderr)
        return 2
    stale = [
        topic
        for topic in STRUCTS
        if not _path(topic).exists() or _path(topic).read_text(encoding="utf-8") != _text(topic)
    ]
    for topic in stale:
        print(f"{_path(topic).name} differs from its struct: run python -m schemas.json_schema --write")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
