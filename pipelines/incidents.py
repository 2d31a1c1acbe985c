"""``driftline correlate``: incidents from the anomalies in the configured ClickHouse."""

import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from operators.clickhouse import Store
from pipelines.config import resolve
from pipelines.correlate import correlate_every, correlate_once
from pipelines.errors import UsageError
from pipelines.run import stopped_by_signals
from pipelines.times import seconds
from schemas.outputs import Incident


def command(
    path: Path | None, clickhouse: str | None, *, once: bool, every: str | None, as_json: bool
) -> None:
    """One pass, or one every so often until interrupted; prints what is new."""
    if once == (every is not None):
        raise UsageError("correlate: give --once or --every 30s")
    interval_s = seconds("--every", every) if every else 0.0

    def tell(incidents: Sequence[Incident]) -> None:
        for incident in incidents:
            line = msgspec.json.encode(incident).decode() if as_json else describe(incident)
            sys.stdout.write(line + "\n")
        sys.stdout.flush()

    with Store.open(resolve(path, clickhouse=clickhouse).clickhouse, make=False) as store:
        store.migrate()
        if once:
            changed = correlate_once(store)
            tell(changed)
            if not changed and not as_json:
                print("nothing new")
            return
        stop = threading.Event()
        with stopped_by_signals(stop):
            correlate_every(store, interval_s, tell, stop)


def describe(incident: Incident) -> str:
    """One line: when, how bad, what, and what to do."""
    since = datetime.fromtimestamp(incident.started_at / 1000, UTC)
    return (
        f"{since:%Y-%m-%d %H:%M:%S}Z {incident.severity:<8} {incident.status:<8} {incident.title} "
        f"[{incident.action}] {incident.incident_id}"
    )
