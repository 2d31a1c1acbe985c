"""``driftline label`` and ``labels``: what people say of events, and what follows from it.

A detector that keeps being wrong on a series has its share of that series' alarm budget halved with every
further false alarm. `run` reads the shares when it starts and takes them into its settings, so that the
config hash of every event says which were in force.
"""

import time
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import msgspec
import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from operators.clickhouse import Store
from operators.settings import Settings
from pipelines.errors import UsageError
from pipelines.uncut import uncut

Verdict = Literal["true", "false", "expected"]

#: Characters of an event's id that are enough to look for it by.
_LEAST = 8


@dataclass(frozen=True)
class Labelled:
    """The event that was meant, and what share of its budget its detector keeps on that series."""

    event_id: UUID
    detector: str
    summary: str
    budget_share: float


def label(store: Store, event: str, verdict: Verdict, note: str = "") -> Labelled:
    """Write what someone said of an event; a later word replaces it.

    Args:
        store: migrated.
        event: its id, or the first eight or more characters of it.
        verdict: ``true`` something was wrong, ``false`` nothing was, ``expected`` it was meant to be so.
        note: why, in the labeller's words.

    Raises:
        UsageError: no event, or several, begin so.
    """
    wanted = event.strip().lower()
    if len(wanted) < _LEAST or set(wanted) - set("0123456789abcdef-"):
        raise UsageError(f"label: {event!r} is no event id, nor the first {_LEAST} characters of one")
    found = store.query(
        "SELECT DISTINCT toString(event_id) AS event_id, fingerprint, detector, detector_version, signal, "
        "statistic, summary FROM anomaly_events FINAL WHERE startsWith(toString(event_id), {wanted:String}) "
        "LIMIT 2",
        {"wanted": wanted},
    ).to_pylist()
    if len(found) > 1:
        raise UsageError(f"label: several events begin with {wanted}")
    if not found:
        raise UsageError(f"label: no event begins with {wanted}{_as_incident(store, wanted)}")
    (row,) = found
    event_id, summary = UUID(row.pop("event_id")), row.pop("summary")
    store.insert("event_labels", _row(event_id, verdict, note, row), f"label {event_id} {time.time_ns()}")
    kept = shares(store).get(f"{row['fingerprint']:016x}", 1.0)
    return Labelled(event_id, row["detector"], summary, kept)


def _as_incident(store: Store, wanted: str) -> str:
    found = store.query(
        "SELECT length(event_ids) AS events, arrayMap(e -> left(toString(e), 8), event_ids) AS ids "
        "FROM incidents FINAL WHERE startsWith(toString(incident_id), {wanted:String}) LIMIT 1",
        {"wanted": wanted},
    ).to_pylist()
    if not found:
        return ""
    return f", but an incident of {found[0]['events']} events, such as {', '.join(found[0]['ids'][:3])}"


def _row(event_id: UUID, verdict: Verdict, note: str, event: dict[str, object]) -> pa.Table:
    schema = pa.schema(
        [
            ("event_id", pa.binary(16)),
            ("verdict", pa.utf8()),
            ("note", pa.utf8()),
            ("fingerprint", pa.uint64()),
            *((name, pa.utf8()) for name in ("detector", "detector_version", "signal", "statistic")),
        ]
    )
    return pa.Table.from_pylist(
        [{"event_id": event_id.bytes, "verdict": verdict, "note": note} | event], schema
    )


def shares(store: Store) -> dict[str, float]:
    """Share of its budget each detector keeps on a series, by fingerprint, where it is less than all.

    None in a store that was never migrated this far.
    """
    known = "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'budget_shares'"
    if not store.query(known, {"database": store.database})[0][0].as_py():
        return {}
    found = store.query("SELECT fingerprint, share FROM budget_shares WHERE share < 1 ORDER BY fingerprint")
    return {f"{row['fingerprint']:016x}": row["share"] for row in found.to_pylist()}


def with_shares(settings: Settings, lowered: dict[str, float]) -> Settings:
    """Settings in which the labels' shares are in force; those set by hand win."""
    detection = settings.detection
    merged = lowered | detection.budget_shares
    return msgspec.structs.replace(
        settings, detection=msgspec.structs.replace(detection, budget_shares=merged)
    )


def summary(store: Store) -> dict[str, list[dict[str, object]]]:
    """Precision by detector and signal, and the lowered shares."""
    precision = store.query("SELECT * FROM label_precision ORDER BY signal, detector").to_pylist()
    lowered = store.query(
        "SELECT s.*, e.latest_event AS latest_event FROM budget_shares AS s LEFT JOIN (SELECT fingerprint, "
        "argMax(summary, updated_at) AS latest_event FROM anomaly_events WHERE fingerprint IN "
        "(SELECT fingerprint FROM event_labels) GROUP BY fingerprint) AS e ON s.fingerprint = e.fingerprint "
        "WHERE s.share < 1 ORDER BY s.share, s.fingerprint"
    ).to_pylist()
    for row in lowered:
        row["fingerprint"] = f"{row['fingerprint']:016x}"
    return {"precision": precision, "budget_shares": lowered}


def show(found: dict[str, list[dict[str, object]]], console: Console) -> None:
    """Both tables for people."""
    if not found["precision"]:
        console.print("no labels yet: driftline label EVENT_ID true|false|expected")
        return
    uncut(console)
    for title, rows in (
        ("precision by label", found["precision"]),
        ("lowered shares", found["budget_shares"]),
    ):
        if not rows:
            continue
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for name in rows[0]:
            table.add_column(name.replace("_", " "))
        for row in rows:
            table.add_row(*(f"{v:.3g}" if isinstance(v, float) else escape(str(v)) for v in row.values()))
        console.print(table)
