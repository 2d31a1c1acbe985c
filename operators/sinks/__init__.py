"""Where outputs go. Every sink is at-least-once and idempotent as far as its target allows.

A sink gathers what it is given and hands it over at `flush`; until then nothing counts as delivered, and what
a failed flush could not hand over it keeps for the next one. Let go of without a flush, it gives up what it
holds: whoever ends after a failure is to tell of that, and not of a second one.
"""

from collections.abc import Sequence
from typing import Protocol

from operators.dead_letters import DeadLetter
from operators.emission import Emission
from operators.sinks.clickhouse import ClickHouseSink
from operators.sinks.files import FileSink
from operators.sinks.kafka import KafkaSink
from operators.store_errors import SinkError, StoreError
from schemas.outputs import Incident

__all__ = [
    "ClickHouseSink",
    "FileSink",
    "KafkaSink",
    "Publisher",
    "Sink",
    "SinkError",
    "StoreError",
]


class Sink(Protocol):
    """Takes what shards hand out."""

    def write(self, emission: Emission) -> None:
        """Take one emission; may flush when much has gathered."""

    def flush(self) -> None:
        """Hand over all that was taken; raises `SinkError` or `StoreError` and keeps what could not be."""


class Publisher(Sink, Protocol):
    """A sink with topics: anomaly events, incidents and dead letters."""

    def write_incidents(self, incidents: Sequence[Incident]) -> None:
        """Take new versions of incidents."""

    def write_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Take refused samples, for the dead-letter topics."""

    def close(self) -> None:
        """Let go of connections; what was not flushed is given up."""
