"""One input, every engine: equal events, equal incidents, equal accounts, equal rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from operators.clickhouse import Store
from pipelines.config import resolve
from pipelines.engines.job import Job
from pipelines.engines.report import Report
from pipelines.run import start
from tests.contract import recording


class Outcome:
    """What one engine made of the recording."""

    def __init__(self, engine: str, source: Path, place: Path, correlate_s: float) -> None:
        config = resolve(
            input=str(source),
            output=str(place / "out"),
            clickhouse=f"chdb:{place / 'db'}",
            engine=engine,
            correlate_s=correlate_s,
        )
        self.report: Report = start(Job(config, until_end=True))
        self.events = _bodies(place / "out" / "anomalies.v1")
        self.incidents = _bodies(place / "out" / "incidents.v1")
        self.dead = sorted(
            line for path in (place / "out").glob("*.dlq/*.ndjson") for line in path.read_text().splitlines()
        )
        with Store.open(config.clickhouse) as store:
            self.rows = {
                table: store.query(f"SELECT * EXCEPT ingested_at FROM {table} FINAL ORDER BY ALL")
                for table in ("signal_buckets", "anomaly_windows", "change_revisions")
            }


def _bodies(folder: Path) -> list[dict[str, Any]]:
    lines = [line for path in folder.glob("*.ndjson") for line in path.read_text().splitlines()]
    return [json.loads(line)["data"] for line in lines]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recording")
    recording.write(root)
    return root


@pytest.fixture(scope="module")
def loop(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return Outcome("local", recorded, tmp_path_factory.mktemp("local"), correlate_s=1.0)


@pytest.fixture(scope="module")
def beam(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return Outcome("beam", recorded, tmp_path_factory.mktemp("beam"), correlate_s=60.0)


def test_the_recording_has_everything_in_it(loop: Outcome) -> None:
    requests = loop.report.accounts["telemetry.requests.v1"]
    assert all(requests[outcome] > 0 for outcome in ("accepted", "refused", "late", "duplicate"))
    assert len(loop.events) > 10
    assert loop.incidents
    assert loop.dead


def test_accounts_balance(loop: Outcome) -> None:
    for account in loop.report.accounts.values():
        assert account["in"] == sum(count for outcome, count in account.items() if outcome != "in")


def test_beam_gives_the_same_events(loop: Outcome, beam: Outcome) -> None:
    def key(event: dict[str, Any]) -> tuple[str, int, str]:
        return event["event_id"], event["revision"], event["status"]

    assert sorted(map(key, beam.events)) == sorted(map(key, loop.events))
    assert sorted(beam.events, key=key) == sorted(loop.events, key=key)


def test_beam_gives_the_same_incidents(loop: Outcome, beam: Outcome) -> None:
    def latest(outcome: Outcome) -> dict[str, dict[str, Any]]:
        ordered = sorted(outcome.incidents, key=lambda incident: incident["version"])
        return {incident["incident_id"]: incident for incident in ordered}

    assert latest(beam) == latest(loop)


def test_beam_gives_the_same_accounts_and_dead_letters(loop: Outcome, beam: Outcome) -> None:
    assert beam.report.accounts == loop.report.accounts
    assert beam.report.reasons == loop.report.reasons
    assert beam.dead == loop.dead
    for figure in ("events", "revisions", "windows", "buckets", "series"):
        assert getattr(beam.report, figure) == getattr(loop.report, figure)


@pytest.mark.parametrize("table", ["signal_buckets", "anomaly_windows", "change_revisions"])
def test_beam_writes_the_same_rows(loop: Outcome, beam: Outcome, table: str) -> None:
    assert beam.rows[table].num_rows > 0
    assert beam.rows[table].equals(loop.rows[table])


def test_no_text_is_left_anywhere(loop: Outcome, beam: Outcome, caplog: pytest.LogCaptureFixture) -> None:
    for outcome in (loop, beam):
        assert not any("secret words" in line for line in outcome.dead)
    assert "secret words" not in caplog.text
