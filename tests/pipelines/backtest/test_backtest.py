"""Backtest: every row kept, nothing looks ahead, any CSV is taken or refused with a reason."""

import csv
import gzip
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pipelines.backtest import backtest, replay
from pipelines.backtest.counters import Counter
from pipelines.backtest.judge import judge, runs, sigma
from pipelines.backtest.series import read
from pipelines.errors import UsageError

QUIET = Console(file=io.StringIO())


def _write(path: Path, rows: list[tuple[object, ...]], header: str = "t,v") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def _run(path: Path, out: Path, **options: object) -> list[dict[str, str]]:
    backtest([path], time_column="t", value_column="v", scores=out, console=QUIET, **options)
    with out.open() as file:
        return list(csv.DictReader(file))


def _drawn(path: Path, **options: object) -> list[Path]:
    """Pictures of the hosts of one file."""
    scores, plots = path.with_name("o.csv"), path.with_name("plots")
    columns = {"time_column": "t", "value_column": "v", "series_column": "host"}
    report = backtest([path], **columns, scores=scores, plot=plots, console=QUIET, **options)
    return [Path(each) for each in report["plots"]]


def _times(count: int) -> list[str]:
    start = np.datetime64("2026-03-28T00:00:00")
    return [str(start + np.timedelta64(300 * i, "s")) for i in range(count)]


def test_rows_come_back_in_input_order_whatever_is_in_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values: list[object] = rng.normal(size=300).round(3).tolist()
    values[40], values[41], values[42], values[43] = "", "NaN", "n/a", "inf"
    times = _times(300)
    times[50] = times[49]
    times[60], times[200] = times[200], times[60]
    times[70] = "yesterday"
    path = _write(tmp_path / "a.csv", list(zip(times, values, strict=True)))
    rows = _run(path, tmp_path / "out.csv")
    assert list(rows[0]) == ["series", "time", "value", "score", "p_value", "alarm", "event_id"]
    assert [row["time"] for row in rows] == times
    assert [row["value"] for row in rows[40:44]] == ["", "", "", ""]
    assert all(0 < float(row["p_value"]) <= 1 and float(row["score"]) >= 0 for row in rows)


def test_no_row_depends_on_a_later_one_or_on_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=500)
    values[300:320] += 8
    whole = [(t, v, int(300 <= i < 320)) for i, (t, v) in enumerate(zip(_times(500), values, strict=True))]
    full = _run(_write(tmp_path / "a.csv", whole, "t,v,l"), tmp_path / "1.csv", label_column="l")
    for cut in (1, 20, 310):
        part = _run(_write(tmp_path / "a.csv", whole[:cut], "t,v,l"), tmp_path / "2.csv")
        assert part == full[:cut]
    alarms = [i for i, row in enumerate(full) if row["alarm"] == "1"]
    first = min(i for i in alarms if i >= 300)
    assert first <= 301  # a lone value may wait for a second one
    assert {full[i]["event_id"] for i in alarms if 300 <= i < 325} == {full[first]["event_id"]}
    assert all((row["event_id"] != "") == (row["alarm"] == "1") for row in full)


def test_series_of_one_file_are_judged_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=200), 1e6 + rng.normal(size=200)
    mixed = [row for t, x, y in zip(_times(200), a, b, strict=True) for row in ((t, x, "a"), (t, y, "b"))]
    rows = _run(_write(tmp_path / "m.csv", mixed, "t,v,s"), tmp_path / "o.csv", series_column="s")
    alone = _run(
        _write(tmp_path / "b.csv", [(t, v) for t, v in zip(_times(200), b, strict=True)]), tmp_path / "p.csv"
    )
    assert [row["score"] for row in rows if row["series"] == "b"] == [row["score"] for row in alone]


@pytest.mark.parametrize("kind", ["counter", "tiny", "huge", "spans", "glitch"])
def test_rows_appended_change_no_row_before(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(7)
    values = 100 + rng.normal(size=260).cumsum()
    match kind:
        case "counter":
            values = rng.poisson(50, 260).cumsum().astype(float)
            values[150:] -= values[149]
        case "tiny" | "huge":
            values *= {"tiny": 1e-200, "huge": 1e300}[kind]
        case "spans":
            values[30:90] = np.nan
        case "glitch":
            values[200] = 1.7e308
    rows: list[tuple[object, ...]] = [
        (time, "" if np.isnan(value) else repr(float(value)))
        for time, value in zip(_times(260), values, strict=True)
    ]
    full = _run(_write(tmp_path / "a.csv", rows), tmp_path / "1.csv")
    for cut in (24, 25, 100, 201):
        assert _run(_write(tmp_path / "a.csv", rows[:cut]), tmp_path / "2.csv") == full[:cut]


@pytest.mark.parametrize("power", [-900, 900])
def test_the_unit_of_values_decides_nothing(tmp_path: Path, power: int) -> None:
    value = np.random.default_rng(8).normal(100, 5, 200)
    value[150:160] += 60
    path = _write(tmp_path / "a.csv", list(zip(_times(200), value, strict=True)))
    (plain,) = read(path, "t", "v", None, None)
    series = [replace(plain, value=np.ldexp(plain.value, each)) for each in (0, power)]
    usual, other = replay(series, 10_000.0)
    assert usual.alarm[150:165].any()
    assert (other.alarm == usual.alarm).all()
    np.testing.assert_allclose(other.score, usual.score, rtol=1e-6)


@pytest.mark.parametrize("values", [[7.0] * 300, [""] * 300, [1.0]])
def test_nothing_to_see(tmp_path: Path, values: list[object]) -> None:
    path = _write(tmp_path / "a.csv", list(zip(_times(len(values)), values, strict=True)))
    rows = _run(path, tmp_path / "o.csv")
    assert len(rows) == len(values)
    assert not any(row["alarm"] == "1" for row in rows)


def test_counter_is_judged_by_its_increments(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    total = np.cumsum(rng.poisson(50, 600)).astype(float)
    total[400:] -= total[399]
    rows = _run(_write(tmp_path / "a.csv", list(zip(_times(600), total, strict=True))), tmp_path / "o.csv")
    assert sum(row["alarm"] == "1" for row in rows) <= 10


def test_gauge_on_its_way_up_is_no_counter_after_its_first_fall() -> None:
    counter = Counter()
    judged = [counter.take(v) for v in [*range(30), 25.0, 20.0]]
    assert counter.counting is False
    assert judged[-2:] == [(25.0, True), (20.0, False)]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("t,v\n2026-01-05 00:00,1.5\n2026-01-05 00:05,1200\n", "utf-8-sig"),
        ("t;v\n05.01.2026 00:00;1,5\n05.01.2026 00:05;1200\n", "utf-8"),
        ('"t"\t"v"\n"1/5/2026 12:00 AM"\t"1.5"\n"1/5/2026 12:05 AM"\t"1200"\n', "utf-16"),
        ("\ufefft,v\n2026-01-05 00:00,1.5\n2026-01-05 00:05,1200\n", "utf-16-be"),
        ('t,v\n2026-01-05T00:00Z,1.5\n2026-01-05T01:05+01:00,"1,200"\n', "utf-8"),
        ("t,v\n1767571200000,1.5%\n1767571500000,1200%\n", "utf-8"),
        ("sep=;\r\nt;v;Größe\r\n05.01.2026 00:00;1,5;\r\n05.01.2026 00:05;1.200,0;\r\n", "cp1252"),
        ('# by a tool, at noon\n\nt, v\n20260105000000, 1.5\n20260105000500, "1,200"\n', "utf-8"),
    ],
)
def test_any_dialect_is_read_alike(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding=encoding)
    (series,) = read(path, "t", "v", None, None)
    assert series.time_s.tolist() == [1767571200.0, 1767571500.0]
    assert series.value.tolist() == [1.5, 1200.0]


def test_wrong_use_says_what_is_there(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", [("2026-01-05", 1)])
    with pytest.raises(UsageError, match="no column 'when'; there are 't', 'v'"):
        backtest([path], time_column="when", value_column="v", scores=tmp_path / "o.csv", console=QUIET)
    with pytest.raises(UsageError, match="No such file"):
        backtest(
            [tmp_path / "b.csv"], time_column="t", value_column="v", scores=tmp_path / "o.csv", console=QUIET
        )
    with pytest.raises(UsageError, match="a header and no rows"):
        _run(_write(tmp_path / "e.csv", []), tmp_path / "o.csv")
    with pytest.raises(UsageError, match="holds no time"):
        _run(_write(tmp_path / "c.csv", [("x", 1)]), tmp_path / "o.csv")
    with pytest.raises(UsageError, match="'v' holds no number, as in 'fine'"):
        _run(_write(tmp_path / "d.csv", [("2026-01-05", "fine")]), tmp_path / "o.csv")
    with pytest.raises(UsageError, match=r"'v' holds 'maybe'; a label is 1 or 0"):
        _run(_write(tmp_path / "d.csv", [("2026-01-05", "maybe")]), tmp_path / "o.csv", label_column="v")
    with pytest.raises(UsageError, match="is an input file"):
        _run(path, path)
    assert path.read_text() == "t,v\n2026-01-05,1\n"
    with pytest.raises(UsageError, match="at least 1 row between"):
        _run(path, tmp_path / "o.csv", alarm_budget=float("nan"))
    with pytest.raises(UsageError, match="row 2: a quote before '2026-01-06,1' is not closed"):
        _run(
            _write(tmp_path / "q.csv", [(f"{q}2026-01-0{n}", 1) for n, q in enumerate(["", '"', ""], 5)]),
            path,
        )
    (tmp_path / "a.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UsageError, match="is gzip; CSV text is expected"):
        _run(tmp_path / "a.gz", tmp_path / "o.csv")


def test_several_files_go_to_a_folder_with_labels_as_json(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    paths = []
    for name in "ab":
        values = rng.normal(size=400)
        values[300:303] += 25
        label = (np.arange(400) >= 300) & (np.arange(400) < 303)
        rows = list(zip(_times(400), values, label.astype(int), strict=True))
        paths.append(_write(tmp_path / f"{name}.csv", rows, "t,v,l"))
    out = io.StringIO()
    backtest(
        paths,
        time_column="t",
        value_column="v",
        label_column="l",
        scores=tmp_path / "out",
        as_json=True,
        console=Console(file=out),
    )
    report = json.loads(out.getvalue())
    assert report["labels"]["driftline"]["recall"] == 1.0
    assert set(report["labels"]) == {"driftline", "3 sigma", "6 sigma", "always"}
    assert (tmp_path / "out" / "a.csv").exists()
    assert (tmp_path / "out" / "b.csv").exists()


def test_the_summary_names_series_by_file_and_what_could_not_be_read(tmp_path: Path) -> None:
    rows = [(time, "3 apples" if n == 5 else n, "[/b]") for n, time in enumerate(_times(30))]
    out = io.StringIO()
    backtest(
        [_write(tmp_path / name, rows, header="t,v,host") for name in ("one.csv", "two.csv")],
        time_column="t",
        value_column="v",
        series_column="host",
        scores=tmp_path / "out",
        console=Console(file=out),
    )
    assert "one.csv: [/b]" in out.getvalue()
    assert "two.csv: [/b]" in out.getvalue()
    assert "no number for a value: 2, such as '3 apples'" in out.getvalue()


def test_each_series_is_drawn_over_gaps_and_what_is_missing(tmp_path: Path) -> None:
    rows = [(time, n if n % 7 else "", "ab"[n % 2], int(n > 90)) for n, time in enumerate(_times(100))]
    rows += [("2026-03-01T00:00", 5, "a", 1), ("never", 5, "a", 0), ("2026-03-01T00:00", "", "c", 0)]
    drawn = _drawn(_write(tmp_path / "x.csv", rows, header="t,v,host,bad"), label_column="bad")
    assert [each.name for each in drawn] == ["x__a.png", "x__b.png", "x__c.png"]
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in drawn)


def test_no_picture_replaces_another_whatever_series_are_called(tmp_path: Path) -> None:
    names = ["a/b", "a_b", "", "../../up", "[/b]", "ö" * 300, "ö" * 301]
    rows = [("2026-03-01T00:00", 1, name) for name in names]
    drawn = _drawn(_write(tmp_path / "x.csv", rows, header="t,v,host"))
    assert len(set(drawn)) == len(names)
    assert set(drawn) == set((tmp_path / "plots").iterdir())


@pytest.mark.parametrize("last", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_the_ends_of_time_and_of_numbers_are_drawn(tmp_path: Path, last: str) -> None:
    rows = [*zip(_times(40), [1.7e308, -1.7e308] * 20, strict=True), (last, 0)]
    _run(_write(tmp_path / "x.csv", rows), tmp_path / "o.csv", plot=tmp_path / "x.svg")
    assert b"<svg" in (tmp_path / "x.svg").read_bytes()


def test_judging_by_event() -> None:
    label, alarm = np.zeros(1000, bool), np.zeros(1000, bool)
    label[100:110] = label[500:510] = True
    alarm[[105, 112, 700]] = True
    got = judge(alarm, label)
    assert (got.segments, got.found, got.alarms, got.true_alarms, got.delays) == (2, 1, 2, 1, (5,))
    assert runs(alarm, 10) == [(105, 112), (700, 700)]


def test_sigma_baseline_is_a_trailing_window() -> None:
    rng = np.random.default_rng(5)
    value = rng.normal(size=800)
    far = sigma(value, 3.0)
    for row in (400, 799):
        past = value[row - 300 : row]
        assert far[row] == (abs(value[row] - past.mean()) > 3 * past.std())
