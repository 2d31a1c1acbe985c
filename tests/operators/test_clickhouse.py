"""The store on the real, embedded engine."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from operators.clickhouse import Store, StoreError, StoreUrlError
from operators.store_address import parse_url
from schemas import rows
from schemas.rows import read_events
from tests.operators.engine import count
from tests.outputs import event


def test_the_same_token_twice_counts_once(store: Store) -> None:
    batch = rows.events_table([event(1), event(2)])
    store.insert("anomaly_events", batch, token="a")
    store.insert("anomaly_events", batch, token="a")
    assert count(store, "anomaly_events") == 2


def test_a_replay_under_another_token_collapses_under_final(store: Store) -> None:
    batch = rows.events_table([event(1), event(2)])
    store.insert("anomaly_events", batch, token="a")
    store.insert("anomaly_events", batch, token="b")
    assert count(store, "anomaly_events") == 4
    assert count(store, "anomaly_events FINAL") == 2


def test_the_highest_revision_wins_in_any_order(store: Store) -> None:
    revisions = [event(1, revision=r, window_end=event().window_end + r, severity="error") for r in (2, 0, 1)]
    for number, revision in enumerate(revisions):
        store.insert("anomaly_events", rows.events_table([revision]), token=str(number))
    assert read_events(store.query("SELECT * FROM anomaly_events FINAL")) == [revisions[0]]


def test_one_insert_may_span_more_days_than_clickhouse_likes(store: Store) -> None:
    day = 86_400_000
    year = [event(n, window_start=event().window_start + n * day) for n in range(110)]
    store.insert("anomaly_events", rows.events_table(year), token="year")
    store.insert("anomaly_events", rows.events_table(year), token="year")
    assert count(store, "anomaly_events") == 110


def test_what_clickhouse_refuses_is_an_error_in_its_own_words(store: Store) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        store.insert("nowhere", rows.events_table([event(1)]), token="a")
    wrong = rows.events_table([event(1)]).set_column(13, "kind", pa.array(["no such kind"]))
    with pytest.raises(StoreError, match="no such kind"):
        store.insert("anomaly_events", wrong, token="a")
    with pytest.raises(StoreError, match="no_such_column"):
        store.query("SELECT no_such_column FROM anomaly_events")
    assert count(store, "anomaly_events") == 0


def test_answers_have_enum_names_ids_and_parameters(store: Store) -> None:
    store.insert("anomaly_events", rows.events_table([event(1), event(2, severity="critical")]), token="a")
    answer = store.query(
        "SELECT event_id, severity, status FROM anomaly_events WHERE severity >= {least:String};",
        {"least": "error"},
    )
    assert answer.to_pylist() == [{"event_id": uuid.UUID(int=2), "severity": "critical", "status": "firing"}]


def refusal(url: str, beside: str | None = None) -> str:
    """What a process of its own, with another store open, is told when it opens one; nothing when it may."""
    script = f"""
from operators.clickhouse import Store, StoreError
if {beside!r}:
    Store.open({beside!r})
try:
    Store.open({url!r}).close()
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_folder_another_process_holds_names_it(tmp_path: Path) -> None:
    hold = f"from operators.engine_lock import *; acquire('{tmp_path}'); print('held', flush=True); input()"
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert f"held by process {holder.pid}" in refusal(f"chdb:{tmp_path}")
        holder.communicate("\n")
    assert refusal(f"chdb:{tmp_path}") == ""  # free again


def test_a_second_folder_in_one_process_is_refused_with_the_first_ones_name(tmp_path: Path) -> None:
    held = refusal(f"chdb:{tmp_path / 'second'}", beside=f"chdb:{tmp_path / 'first'}")
    assert f"has chdb:{tmp_path / 'first'} open" in held


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert "Not a directory" in refusal(f"chdb:{file}/folder")


def test_a_server_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_CLICKHOUSE_PASSWORD", "hunter2")
    monkeypatch.setattr("operators.clickhouse._ATTEMPTS", 1)
    with pytest.raises(StoreError, match=r"http://127.0.0.1:9/db: connecting failed") as caught:
        Store.open("http://127.0.0.1:9/db")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@host:8123/db",
        "http://host:8123/db?password=hunter2",
        "https://hunter2@host/db",
        "clickhouse://hunter2",
        "chdb:",
        "chdb::memory:",
        "chdb://folder",
        "http://host:port/db",
        "http://host/data-base",
        "/just/a/folder",
    ],
)
def test_wrong_urls_are_refused_without_repeating_secrets(url: str) -> None:
    with pytest.raises(StoreUrlError) as caught:
        parse_url(url)
    assert "hunter2" not in str(caught.value)


def test_urls_have_defaults() -> None:
    assert str(parse_url("https://host")) == "https://host:8443/driftline"
    assert str(parse_url("http://host:80/other")) == "http://host:80/other"
    assert parse_url("chdb:./here").path == os.path.realpath("here")


def test_a_password_file_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DRIFTLINE_CLICKHOUSE_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="DRIFTLINE_CLICKHOUSE_PASSWORD_FILE: cannot read"):
        Store.open("http://127.0.0.1:9/db")


def test_the_roles_are_well_formed_sql(store: Store) -> None:
    # the embedded engine has no users: it parses these, and no more
    text = (Path(__file__).parents[2] / "infra" / "clickhouse" / "users.sql").read_text()
    sql = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    statements = [statement.strip() for statement in sql.split(";") if statement.strip()]
    assert len(statements) > 5
    for statement in statements:
        assert store.query(f"EXPLAIN AST {statement}").num_rows > 0
    tables = set(store.query("SHOW TABLES")["name"].to_pylist())
    named = {word.removeprefix("driftline.") for word in sql.split() if word.startswith("driftline.")}
    assert named - {"*"} <= tables
