"""What people say of events: written, replaced, read back as precision and as budget shares."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from operators.clickhouse import Store
from operators.settings import Detection, Settings
from pipelines.cli import app
from pipelines.errors import UsageError
from pipelines.labels import label, shares, summary, with_shares
from schemas.rows import events_table, incidents_table
from tests.operators.engine import fresh
from tests.outputs import event, incident


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labels") / "db"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """Five events of one series, two of another."""
    with fresh(folder) as store:
        many = [event(number, fingerprint="00000000000000aa") for number in range(1, 6)]
        many += [event(number, fingerprint="f0000000000000bb") for number in (6, 7)]
        store.insert("anomaly_events", events_table(many), "events")
        yield store


def test_a_detector_that_keeps_being_wrong_loses_budget_and_gets_it_back(store: Store) -> None:
    ids = [str(event(number).event_id) for number in range(1, 8)]
    label(store, ids[0], "false")
    assert shares(store) == {}  # once is no habit
    label(store, ids[1], "false", "the batch job")
    assert label(store, ids[2], "false").budget_share == 0.25
    assert shares(store) == {"00000000000000aa": 0.25}
    (lowered,) = summary(store)["budget_shares"]
    assert (lowered["share"], lowered["latest_event"]) == (0.25, event(5).summary)
    label(store, ids[3], "true")
    label(store, ids[5], "true")
    assert shares(store) == {"00000000000000aa": 0.5}
    label(store, ids[1], "expected")  # a later word replaces the first
    assert shares(store) == {}
    assert summary(store)["budget_shares"] == []
    (row,) = summary(store)["precision"]
    assert (row["right_alarms"], row["expected_alarms"], row["false_alarms"]) == (2, 1, 2)
    assert row["precision"] == 0.6


def test_what_is_no_event_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="no event begins with 01234567"):
        label(store, "01234567", "true")
    for text in ("abc", "'; DROP TABLE x", ""):
        with pytest.raises(UsageError, match="is no event id"):
            label(store, text, "true")


def test_an_incident_is_told_from_an_event(store: Store) -> None:
    known = incident()
    store.insert("incidents", incidents_table([known]), "an incident")
    with pytest.raises(UsageError, match=f"an incident of .* events, such as {str(known.event_ids[0])[:8]}"):
        label(store, str(known.incident_id), "false")


def test_shares_are_settings_and_those_set_by_hand_win() -> None:
    settings = Settings(detection=Detection(budget_shares={"aa": 0.1}))
    found = with_shares(settings, {"aa": 0.5, "bb": 0.25})
    assert found.detection.budget_shares == {"aa": 0.1, "bb": 0.25}
    assert found.config_hash() != settings.config_hash()


def test_commands(folder: Path) -> None:
    url = f"chdb:{folder}"
    with Store.open(url) as store:
        store.migrate()
        store.insert("anomaly_events", events_table([event(1)]), "one")
    wanted = str(event(1).event_id)
    told = CliRunner().invoke(app, ["label", wanted[:8], "false", "--clickhouse", url, "--json"])
    assert told.exit_code == 0, told.output
    said = json.loads(told.output)
    assert (said["event_id"], said["verdict"], said["budget_share"]) == (wanted, "false", 1.0)
    told = CliRunner().invoke(app, ["labels", "--clickhouse", url])
    assert "precision by label" in told.output
    assert CliRunner().invoke(app, ["label", wanted, "perhaps", "--clickhouse", url]).exit_code == 2
