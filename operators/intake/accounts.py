"""The accounts: every sample that came in is accepted, refused, ignored, late or a duplicate."""

from collections import Counter
from dataclasses import dataclass, field, fields

#: Counts by (topic, reason, name or producer).
Named = Counter[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Accounts:
    """Samples by topic; additive. ``received`` is counted where records are decoded, the others where judged.

    ``refused`` is by reason, ``ignored`` and ``unknown_fields`` by name, ``late`` by producer. Unknown fields
    are counted beside: their samples stay. ``records`` counts records.
    """

    records: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    duplicate: Counter[str] = field(default_factory=Counter)
    refused: Named = field(default_factory=Counter)
    ignored: Named = field(default_factory=Counter)
    late: Named = field(default_factory=Counter)
    unknown_fields: Named = field(default_factory=Counter)

    def __add__(self, other: "Accounts") -> "Accounts":
        return Accounts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Accounts)))

    def topics(self) -> dict[str, dict[str, int]]:
        """Totals by topic: ``in``, ``accepted``, ``refused``, ``ignored``, ``late``, ``duplicate``."""
        found = {}
        for topic in sorted({*self.records, *self.received}):
            found[topic] = {
                "in": self.received[topic],
                "accepted": self.accepted[topic],
                "refused": _of(self.refused, topic),
                "ignored": _of(self.ignored, topic),
                "late": _of(self.late, topic),
                "duplicate": self.duplicate[topic],
            }
        return found

    def balanced(self) -> bool:
        """Whether for every topic what came in is what was decided."""
        return all(2 * counts["in"] == sum(counts.values()) for counts in self.topics().values())


def _of(counts: Named, topic: str) -> int:
    return sum(count for (held, _), count in counts.items() if held == topic)
