"""What a run has counted, as lines that add up whoever counted them: accounts of samples, and outputs."""

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct

from operators.emission import Emission
from schemas.rows import Count

#: Topic of the lines that count outputs; their outcome says which.
OUTPUTS = ""


class Figures(Struct):
    """Running totals by topic, outcome and reason; in an engine's state, a restart counts all once."""

    counts: dict[tuple[str, str, str], int] = {}

    def add(self, counts: Iterable[Count]) -> None:
        """Count what a source did with samples."""
        for topic, outcome, reason, samples in counts:
            self._plus(topic, outcome, reason, samples)

    def count(self, emission: Emission) -> None:
        """Count what a shard hands out; what came below closed buckets was late, not accepted."""
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

    def lines(self) -> Iterator[Count]:
        """The totals, sorted, without what is zero."""
        return (Count(*key, count) for key, count in sorted(self.counts.items()) if count)

    def _plus(self, topic: str, outcome: str, reason: str, count: int) -> None:
        key = topic, outcome, reason
        self.counts[key] = self.counts.get(key, 0) + count


def accounts(lines: Iterable[Count]) -> list[Count]:
    """What became of samples out of lines of any origin: added up, sorted, without outputs."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for topic, outcome, reason, samples in lines:
        if topic != OUTPUTS:
            sums[topic, outcome, reason] += samples
    return [Count(*key, samples) for key, samples in sorted(sums.items()) if samples]
