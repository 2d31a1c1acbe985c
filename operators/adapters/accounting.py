"""The accounts as lines: one count a topic, outcome and reason, which add up whatever carries them."""

from collections.abc import Iterator

from operators.intake import Accounts
from schemas.rows import Count

#: Beside the outcomes of samples: unknown fields are dropped and counted by name, their samples stay.
UNKNOWN_FIELD = "unknown_field"


def lines(accounts: Accounts) -> Iterator[Count]:
    """Counts that are not zero: refused by reason, ignored and unknown fields by name, late by producer."""
    for outcome in ("accepted", "duplicate"):
        for topic, samples in getattr(accounts, outcome).items():
            if samples:
                yield Count(topic, outcome, "", samples)
    named = {
        "refused": accounts.refused,
        "ignored": accounts.ignored,
        "late": accounts.late,
        UNKNOWN_FIELD: accounts.unknown_fields,
    }
    for outcome, counts in named.items():
        for (topic, name), samples in counts.items():
            if samples:
                yield Count(topic, outcome, name, samples)
