"""What a run did: accounts, events, series, incidents, durations; the same figures from every engine."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from operators.emission import Emission
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


class Tally:
    """Counts what shards hand out: events by kind, once each; late is what came below closed buckets."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.late: Counter[str] = Counter()
        self.revisions = self.windows = self.buckets = 0

    def corrected(self, counts: Iterable[Count]) -> list[Count]:
        """The accounts, sorted; what came below closed buckets is late there, not accepted."""
        lines: Counter[tuple[str, str, str]] = Counter()
        for topic, outcome, reason, samples in counts:
            lines[topic, outcome, reason] += samples
        for topic, samples in self.late.items():
            lines[topic, "accepted", ""] -= samples
            lines[topic, "late", "after_idle"] += samples
        return [Count(*key, samples) for key, samples in sorted(lines.items()) if samples]

    def add(self, emission: Emission) -> None:
        """Count one emission."""
        self.events.update(event.kind for event in emission.events if event.revision == 0)
        self.revisions += len(emission.events)
        self.windows += len(emission.windows)
        self.buckets += emission.buckets.num_rows if emission.buckets is not None else 0
        self.late.update(emission.late)


def figures(lines: Iterable[Count]) -> tuple[list[Count], Tally, int]:
    """Accounts, outputs and series out of the totals of all shards, whose output lines have no topic."""
    accounts: Counter[tuple[str, str, str]] = Counter()
    tally = Tally()
    outputs: Counter[str] = Counter()
    for topic, outcome, reason, count in lines:
        if topic:
            accounts[topic, outcome, reason] += count
        elif outcome == "events":
            tally.events[reason] += count
        else:
            outputs[outcome] += count
    tally.revisions, tally.windows, tally.buckets = (
        outputs[name] for name in ("revisions", "windows", "buckets")
    )
    return tally.corrected([Count(*key, count) for key, count in accounts.items()]), tally, outputs["series"]


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
    counts: Sequence[Count],
    tally: Tally,
    series: int,
    incidents: Iterable[Incident],
    seconds: dict[str, float],
    no_data_s: float,
    savepoint: str = "",
) -> Report:
    """The report of a run that is over."""
    accounts = by_outcome(counts)
    samples = sum(account["in"] for account in accounts.values())
    return Report(
        engine=engine,
        input=job.config.input or "",
        clickhouse=job.config.clickhouse,
        config_hash=job.config.settings.config_hash(),
        ending=ending,
        accounts=accounts,
        reasons=[count for count in counts if count.reason],
        events=dict(tally.events),
        revisions=tally.revisions,
        windows=tally.windows,
        buckets=tally.buckets,
        series=series,
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
