"""What the demo shows: incidents, the events behind them, the truth beside them, where to look further."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from operators.lifecycle.summary import amount
from pipelines.engines.report import Report
from pipelines.evaluate.matching import unix_ms
from pipelines.evaluate.scoring import Judged, Outcome
from pipelines.simulate import Label
from pipelines.simulate.scenarios import CATALOGUE
from schemas.outputs import AnomalyEvent

MOST_INCIDENTS = 25
MOST_EVENTS = 3
#: Queries to begin with.
FURTHER = (
    "SELECT started_at, severity, title, action FROM incidents FINAL ORDER BY started_at",
    "SELECT window_start, signal, score, summary FROM anomaly_events FINAL ORDER BY score DESC LIMIT 20",
    "SELECT occurred_at, change_type, service_name, summary FROM change_events ORDER BY occurred_at",
)
_COLOUR = {"critical": "bold red", "error": "red", "warning": "yellow", "info": "dim"}
_ORDER = ("critical", "error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Day:
    """One demo: truth and verdicts. ``incidents``: last version by id; ``events``: by id."""

    out: Path
    clickhouse: str
    labels: Sequence[Label]
    judged: Judged
    incidents: Mapping[str, Mapping[str, Any]]
    events: Mapping[str, AnomalyEvent]
    seconds: float


def show(day: Day, report: Report, console: Console) -> None:
    """Print the whole day."""
    samples = sum(account["in"] for account in report.accounts.values())
    console.print(
        f"\n{samples:,} samples of {report.series:,} series, {day.judged.days:.1f} days, "
        f"in {day.seconds:.0f} s on {report.engine}\n",
        highlight=False,
    )
    answered = {outcome.answer.incident_id for outcome in day.judged.outcomes if outcome.answer}
    console.print(_incidents(day, answered))
    console.print(_events(day))
    console.print(_truth(day.judged.outcomes))
    _summary(day, console)
    _further(day, console)


def _incidents(day: Day, answered: set[str]) -> Table:
    told = [body for body in day.incidents.values() if body["status"] != "merged"]
    pages = [body for body in told if body["paged_at"]]
    # what answers a label first, then the worst; in order of time
    ranked = sorted(
        pages, key=lambda body: (body["incident_id"] not in answered, _ORDER.index(body["severity"]))
    )
    kept = sorted(ranked[:MOST_INCIDENTS], key=lambda body: body["started_at"])
    table = _table(
        f"Incidents: {len(pages)} pages, {len(told) - len(pages)} for information",
        "since",
        "severity",
        "what",
        "where",
        "do",
    )
    for body in kept:
        severity = body["severity"]
        table.add_row(
            _clock(unix_ms(body["started_at"])),
            f"[{_COLOUR[severity]}]{severity}[/]",
            body["title"],
            _where(body["root"] or body["identity"]),
            body["action"],
        )
    if len(pages) > len(kept):
        table.caption = f"and {len(pages) - len(kept)} more pages"
    return table


def _events(day: Day) -> Table:
    table = _table(
        "Anomaly events behind the incidents that answer a label",
        "label",
        "from",
        "signal",
        "where",
        "seen",
        "expected",
        "detector",
    )
    for outcome in day.judged.outcomes:
        if outcome.answer is None:
            continue
        ids = [str(event) for event in outcome.answer.last["event_ids"]]
        events = sorted((day.events[each] for each in ids if each in day.events), key=lambda e: -e.score)
        for place, event in enumerate(events[:MOST_EVENTS]):
            table.add_row(
                outcome.label.scenario if place == 0 else "",
                _clock(event.window_start),
                f"{event.signal} {event.statistic}",
                _where(event.identity),
                amount(event.observed_value, event.unit),
                amount(event.baseline_value, event.unit),
                f"{event.detector}/{event.detector_version}",
            )
        if len(events) > MOST_EVENTS:
            table.add_row("", "", f"… {len(events) - MOST_EVENTS} more", "", "", "", "")
    return table


def _truth(outcomes: Iterable[Outcome]) -> Table:
    table = _table(
        "The labelled truth beside them",
        "label",
        "onset",
        "first report",
        "raised",
        "symptom",
        "layer",
        "action",
    )
    for outcome in outcomes:
        label = outcome.label
        raised = "[red]missed[/]"
        if outcome.found and outcome.raised_at is not None:
            delay = (outcome.raised_at - label.onset) / 60_000
            verdict = "[green]in time[/]" if outcome.in_time else "[yellow]late[/]"
            raised = f"{_clock(outcome.raised_at)} (+{delay:.0f} min) {verdict}"
        table.add_row(
            f"{label.scenario} {CATALOGUE[label.scenario].title}",
            _clock(label.onset),
            _clock(label.first_user_report) if label.first_user_report else "nobody",
            raised,
            _answer(outcome, "symptom", label.symptom),
            _answer(outcome, "layer", label.layer),
            _answer(outcome, "action", label.expected_action),
        )
    return table


def _answer(outcome: Outcome, field: str, accepted: Sequence[str] | None) -> str:
    truth = (accepted or ["–"])[0]
    if outcome.answer is None:
        return truth
    given = str(outcome.answer.last[field])
    return f"[green]{given}[/]" if given in (accepted or ()) else f"[yellow]{given}[/] (truth: {truth})"


def _summary(day: Day, console: Console) -> None:
    outcomes = day.judged.outcomes
    in_time = sum(outcome.in_time for outcome in outcomes)
    controls = sum(label.is_control for label in day.labels)
    console.print(
        f"{in_time} of {len(outcomes)} incidents raised before the first user report, "
        f"{sum(outcome.found for outcome in outcomes)} found at all; {day.judged.false_pages} of "
        f"{day.judged.pages} pages match no label; {controls} controls in the day, odd and harmless.\n",
        highlight=False,
    )


def _further(day: Day, console: Console) -> None:
    store = f"--clickhouse {day.clickhouse}"
    console.print("Everything is in", str(day.out), highlight=False)
    console.print(
        "  telemetry/ (with labels.json), topics/ (anomalies.v1, incidents.v1), clickhouse/\n\nLook further:",
        highlight=False,
    )
    for sql in FURTHER:
        console.print(f"  driftline query {store} '{sql}'", highlight=False, soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left", title_style="bold", expand=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _where(identity: Mapping[str, Any]) -> str:
    shown = [str(value) for name, value in identity.items() if name not in ("environment", "cluster")]
    return " ".join(shown) or "everywhere"


def _clock(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%H:%M:%S}"
