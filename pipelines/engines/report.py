"""What a run did: accounts, events, series, incidents, durations; the same figures from every engine."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from operators.adapters.figures import OUTPUTS, accounts
from pipelines.engines.job import Job
from schemas.outputs import Incident
from schemas.rows import Count

#: How a run ended: all input read, stopped from outside.
Ending = Literal["done", "stopped"]
#: Columns of an account, in the order they are shown; the first is the sum of the others.
OUTCOMES: tuple[str, ...] = ("in", "accepted", "refused", "ignored", "late", "duplicate")


class Report(Struct, frozen=True, kw_only=True):
    """Figures of one run. ``accounts``: samples by topic and outcome; ``reasons``: the same by reason.

    ``savepoint``: where a job that was stopped on Flink can be resumed from.
    """

    engine: str
    input: str
    clickhouse: str
    config_hash: str
    ending: Ending
    accounts: dict[str, dict[str, int]]
    reasons: list[Count]
    events: dict[str, int]
    revisions: int
    windows: int
    buckets: int
    series: int
    incidents: dict[str, int]
    seconds: dict[str, float]
    samples_per_s: float
    no_data_s: float
    savepoint: str = ""


def by_outcome(counts: Iterable[Count]) -> dict[str, dict[str, int]]:
    """Samples by topic and outcome, ``in`` being the sum of all."""
    accounts: dict[str, dict[str, int]] = {}
    for count in counts:
        if count.outcome not in OUTCOMES:
            continue
        account = accounts.setdefault(count.topic, dict.fromkeys(OUTCOMES, 0))
        account[count.outcome] += count.samples
        account["in"] += count.samples
    return accounts


def make_report(
    job: Job,
    *,
    engine: str,
    ending: Ending,
    lines: Iterable[Count],
    incidents: Iterable[Incident],
    seconds: dict[str, float],
    no_data_s: float,
    savepoint: str = "",
) -> Report:
    """The report of a run that is over; ``lines``: the figures of its sources and shards."""
    lines = list(lines)
    counts = accounts(lines)
    by_topic = by_outcome(counts)
    samples = sum(account["in"] for account in by_topic.values())
    events: Counter[str] = Counter()
    outputs: Counter[str] = Counter()
    for topic, outcome, reason, count in lines:
        if topic == OUTPUTS:
            outputs[outcome] += count
            if outcome == "events":
                events[reason] += count
    return Report(
        engine=engine,
        input=job.config.input or "",
        clickhouse=job.config.clickhouse,
        config_hash=job.config.settings.config_hash(),
        ending=ending,
        accounts=by_topic,
        reasons=[count for count in counts if count.reason],
        events=dict(events),
        revisions=outputs["revisions"],
        windows=outputs["windows"],
        buckets=outputs["buckets"],
        series=outputs["series"],
        incidents=dict(Counter(incident.severity for incident in incidents if incident.status != "merged")),
        seconds={phase: round(spent, 3) for phase, spent in seconds.items()},
        samples_per_s=round(samples / seconds["read"], 1) if seconds.get("read") else 0.0,
        no_data_s=round(no_data_s, 1),
        savepoint=savepoint,
    )


class Stopwatch:
    """Wall-clock seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase = ""
        self._since = time.monotonic()

    def enter(self, phase: str) -> None:
        """End the phase that runs and begin this one; the empty phase is not counted."""
        now = time.monotonic()
        if self._phase:
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now
