"""What a shard has counted in one run: kept in Beam's state beside it, so that a restart counts all once.

Beam's own metrics are gone when a job is restarted. Shard 0 also keeps the accounts of what the sources read.
"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from operators.adapters.drive import series_of
from operators.emission import Emission
from operators.shard import Shard
from schemas.rows import Count

#: Topic of the lines that count outputs; their outcome says which.
OUTPUTS = ""
#: Outcome of the line that says that a shard has come to the input's end.
FINISHED = "finished"


class Totals(Struct):
    """Running totals of one shard. ``position``: of what it has heard; totals that know more rank higher."""

    run_id: str
    shard: int
    position: int = 0
    counts: dict[tuple[str, str, str], int] = {}

    def add(self, counts: Iterable[Count]) -> None:
        """Count what a source did with samples."""
        for topic, outcome, reason, samples in counts:
            self._plus(topic, outcome, reason, samples)

    def count(self, emission: Emission) -> None:
        """Count what the shard hands out; what came below closed buckets was late, not accepted."""
        for event in emission.events:
            if event.revision == 0:
                self._plus(OUTPUTS, "events", event.kind, 1)
        self._plus(OUTPUTS, "revisions", "", len(emission.events))
        self._plus(OUTPUTS, "windows", "", len(emission.windows))
        if emission.buckets is not None:
            self._plus(OUTPUTS, "buckets", "", emission.buckets.num_rows)
        for topic, samples in emission.late.items():
            self._plus(topic, "accepted", "", -samples)
            self._plus(topic, "late", "after_idle", samples)

    def see(self, shard: Shard) -> None:
        """Take over how far the shard is and how many series it knows."""
        self.position = shard.clock.position
        self.counts[OUTPUTS, "series", ""] = series_of(shard)
        self.counts[OUTPUTS, FINISHED, ""] = int(shard.clock.exhausted)

    def lines(self) -> Iterator[Count]:
        """The totals, sorted, without what is zero."""
        return (Count(*key, count) for key, count in sorted(self.counts.items()) if count)

    def row_id(self) -> str:
        """Under which the lines stand in the table of accounts: the run, and the shard where it is not 0."""
        return f"{self.run_id}/{self.shard}" if self.shard else self.run_id

    def _plus(self, topic: str, outcome: str, reason: str, count: int) -> None:
        key = topic, outcome, reason
        self.counts[key] = self.counts.get(key, 0) + count


_decoder = msgspec.msgpack.Decoder(Totals)


def encode_totals(totals: Totals) -> bytes:
    """Totals as bytes."""
    return msgspec.msgpack.encode(totals)


def decode_totals(data: bytes) -> Totals:
    """Bytes of `encode_totals`."""
    return _decoder.decode(data)
