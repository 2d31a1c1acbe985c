"""Migrations on the real engine: once each, from any earlier version, and never changed behind its back."""

from dataclasses import replace

import pytest

from operators.clickhouse import Store, StoreError
from operators.migrations import load, migrate
from schemas import rows, tables
from schemas.rows import read_events
from tests.outputs import event

ALL = load()


def columns(store: Store) -> list[dict[str, str]]:
    found: list[dict[str, str]] = store.query(
        "SELECT table, name, type, default_kind FROM system.columns WHERE database = {db:String} "
        "ORDER BY table, position",
        {"db": store.database},
    ).to_pylist()
    return found


def test_numbers_rise_without_gaps() -> None:
    assert [migration.version for migration in ALL] == list(range(1, len(ALL) + 1))


def test_every_earlier_version_ends_up_as_a_fresh_one_and_keeps_its_rows(url: str) -> None:
    with Store.open(url, "fresh") as store:
        assert store.migrate() == [migration.name for migration in ALL]
        assert store.migrate() == []
        expected = columns(store)
    for version in range(len(ALL)):
        with Store.open(url, f"from_{version}") as store:
            migrate(store, ALL[:version])
            if version >= 2:
                store.insert("anomaly_events", rows.events_table([event(1)]), token="kept")
            assert store.migrate() == [migration.name for migration in ALL[version:]]
            assert columns(store) == expected
            kept = read_events(store.query("SELECT * FROM anomaly_events FINAL"))
            assert kept == ([event(1)] if version >= 2 else [])


def test_a_changed_migration_is_refused(url: str) -> None:
    with Store.open(url, "changed") as store:
        store.migrate()
        changed = [*ALL[:-1], replace(ALL[-1], sql=ALL[-1].sql + "\nSELECT 1;")]
        with pytest.raises(StoreError, match=f"migration {ALL[-1].name} was changed"):
            migrate(store, changed)


def test_a_newer_database_is_refused(url: str) -> None:
    with Store.open(url, "newer") as store:
        store.migrate()
        with pytest.raises(StoreError, match=f"has migration {ALL[-1].name}.*newer"):
            migrate(store, ALL[:-1])


def test_one_that_broke_off_is_run_again(url: str) -> None:
    with Store.open(url, "broken") as store:
        migrate(store, ALL[:1])
        store.command(ALL[1].statements("broken")[0])  # the crash came before the second statement
        assert store.migrate() == [migration.name for migration in ALL[1:]]


def test_what_needs_a_newer_server_waits(url: str) -> None:
    with Store.open(url, "older") as store:
        future = [replace(m, sql="-- requires: 99.1\n" + m.sql) if m is ALL[6] else m for m in ALL]
        assert ALL[6].name not in migrate(store, future)
        assert migrate(store, future) == []


@pytest.mark.parametrize(
    ("table", "schema"),
    [
        ("anomaly_events", tables.EVENTS),
        ("anomaly_windows", tables.WINDOWS),
        ("signal_buckets", tables.BUCKET_ROWS),
        ("change_revisions", tables.CHANGES),
        ("topology_edges", tables.EDGES),
        ("incidents", tables.INCIDENTS),
        ("ingest_accounts", tables.ACCOUNTS),
    ],
)
def test_arrow_schemas_name_every_column_but_the_servers_own(url: str, table: str, schema: object) -> None:
    with Store.open(url, "schemas") as store:
        store.migrate()
        own = [
            c
            for c in columns(store)
            if c["table"] == table and c["default_kind"] not in ("ALIAS", "MATERIALIZED")
        ]
        assert {c["name"] for c in own} - {"ingested_at"} == set(schema.names)  # type: ignore[attr-defined]
