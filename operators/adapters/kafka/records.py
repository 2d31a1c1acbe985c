"""Records as kafka-python and aiokafka give them, which is alike, as records of a source."""

from collections.abc import Iterable
from typing import Any

from operators.intake import SourceRecord


def source_records(topic: str, number: int, records: Iterable[Any]) -> list[SourceRecord]:
    """The records of one partition; no value is an empty one, and a negative time none."""
    name = f"{topic}/{number}"
    return [
        SourceRecord(
            topic,
            name,
            record.offset,
            record.value or b"",
            record.timestamp if record.timestamp >= 0 else None,
            tuple(record.headers),
        )
        for record in records
    ]
