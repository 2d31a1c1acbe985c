"""`driftline query`: reads only, and shows every type plainly."""

import csv
import io
import json
from collections.abc import Iterator

import pytest

from operators.clickhouse import Store, StoreError
from pipelines.demo_view import FURTHER
from pipelines.errors import UsageError
from pipelines.query import query, read, render
from schemas import rows
from tests.operators.engine import fresh
from tests.outputs import event

EVERY_TYPE = """
SELECT
    toDateTime64('2026-01-05 09:30:12.481', 3, 'UTC') AS at, toStartOfMinute(at) AS minute,
    toDate('2026-01-05') AS day,
    toUUID('00000000-0000-0000-0000-000000000007') AS id, map('a', 1, 'b', 2) AS tags, ['x', 'y'] AS list,
    nan AS not_finite, 0.1 AS ratio, NULL AS absent, 'é' AS word, true AS flag, (1, 'z') AS pair,
    toUInt64(18446744073709551615) AS big, toDecimal64('1.50', 2) AS money, toFixedString('ab', 2) AS fixed,
    CAST('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)') AS choice -- the end
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with fresh(tmp_path_factory.mktemp("engine")) as opened:
        opened.insert("anomaly_events", rows.events_table([event(1), event(2)]), "a")
        yield opened


def test_json_has_every_type_as_json_knows_it(store: Store) -> None:
    (row,) = json.loads(render(read(store, EVERY_TYPE), "json"))
    assert row == {
        "at": "2026-01-05T09:30:12.481Z",
        "minute": "2026-01-05T09:30:00Z",
        "day": "2026-01-05",
        "id": "00000000-0000-0000-0000-000000000007",
        "tags": {"a": 1, "b": 2},
        "list": ["x", "y"],
        "not_finite": None,
        "ratio": 0.1,
        "absent": None,
        "word": "é",
        "flag": True,
        "pair": {"1": 1, "2": "z"},
        "big": 18446744073709551615,
        "money": "1.50",
        "fixed": "ab",
        "choice": "b",
    }


def test_csv_has_a_header_and_one_line_a_row(store: Store) -> None:
    text = render(read(store, EVERY_TYPE), "csv")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["at"], row["tags"], row["absent"], row["choice"]) == (
        "2026-01-05T09:30:12.481Z",
        '{"a": 1, "b": 2}',
        "",
        "b",
    )


def test_no_rows_are_an_empty_list_or_a_header(store: Store) -> None:
    nothing = read(store, "SELECT event_id, severity FROM anomaly_events WHERE score > 100")
    assert json.loads(render(nothing, "json")) == []
    assert render(nothing, "csv") == "event_id,severity\n"


def test_the_table_shows_its_cells(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    query(
        store, "SELECT event_id AS id, severity, window_start AS onset, p_value FROM anomaly_events LIMIT 1;"
    )
    shown = capsys.readouterr().out
    for cell in (
        "00000000-0000-0000-0000-000000000001",
        "warning",
        "2026-01-05T00:00:00.000Z",
        "1e-06",
        "1 row ",
    ):
        assert cell in shown


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; -- the end",
        "  -- why\n/* and\nhow */ select 1",
        "(SELECT 1)",
        "WITH 1 AS x SELECT x",
        "SHOW TABLES",
        "DESCRIBE TABLE anomaly_events",
        "EXPLAIN SELECT 1",
        "SELECT count() FROM anomaly_events FINAL;",
        "SELECT ';', `n;` FROM (SELECT 1 AS `n;`) -- ; no more",
    ],
)
def test_what_reads_is_run(store: Store, sql: str) -> None:
    assert read(store, sql).num_rows > 0


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE anomaly_events",
        "INSERT INTO topology_edges (src) VALUES ('a')",
        "-- SELECT\nTRUNCATE TABLE anomaly_events",
        "/* SELECT */ ALTER TABLE anomaly_events DELETE WHERE 1",
        "SET readonly = 0",
        "",
        "SELECTED",
    ],
)
def test_what_does_more_is_wrong_use(store: Store, sql: str) -> None:
    with pytest.raises(UsageError, match="only reads"):
        read(store, sql)


@pytest.mark.parametrize("sql", ["SELECT 1; DROP TABLE anomaly_events", "EXPLAIN SELECT ';'; SELECT 1"])
def test_a_second_statement_is_wrong_use(store: Store, sql: str) -> None:
    with pytest.raises(UsageError, match="one statement"):
        read(store, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH 1 AS x INSERT INTO topology_edges (src) SELECT 'a'",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT no_such_column",
    ],
)
def test_what_slips_through_clickhouse_refuses(store: Store, sql: str) -> None:
    with pytest.raises(StoreError):
        read(store, sql)
    assert read(store, "SELECT count() AS n FROM anomaly_events")["n"][0].as_py() == 2


@pytest.mark.parametrize("sql", FURTHER)
def test_what_the_demo_says_to_ask_can_be_asked(store: Store, sql: str) -> None:
    assert read(store, sql) is not None
