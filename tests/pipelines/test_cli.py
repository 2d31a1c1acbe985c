"""The command line as people call it: exit codes, messages, and help that imports nothing heavy."""

import errno
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

from pipelines.cli import main
from tests.operators.adapters.memory import START_MS, request

COMMANDS = (
    "demo", "run", "simulate", "backtest", "backtest-embeddings", "import", "evaluate", "correlate",
    "migrate", "topics", "check", "doctor", "compare", "label", "labels", "query", "produce", "stack", "dlq",
)  # fmt: skip


class Answer(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def driftline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """The command, run in this process and in a folder of its own."""
    for name in [name for name in os.environ if name.startswith("DRIFTLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["driftline", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        return Answer(int(ended.value.code or 0), said.out, said.err)

    return call


def test_help_lists_every_command(driftline: Call) -> None:
    answer = driftline("--help")
    assert answer.code == 0
    assert [command for command in COMMANDS if f"\n  {command} " not in answer.out] == []


def test_version(driftline: Call) -> None:
    answer = driftline("--version")
    assert (answer.code, answer.out) == (0, f"driftline {version('driftline')}\n")


def test_help_waits_for_no_heavy_import() -> None:
    code = (
        "import sys; from pipelines.cli import app; "
        "heavy = {'numpy', 'pyarrow', 'torch', 'apache_beam', 'chdb', 'kafka', 'clickhouse_connect'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run",), "no input"),
        (("run", "--input", "/no/such/folder"), "/no/such/folder is no folder"),
        (("run", "--input", ".", "--engine", "nope"), "'nope' is not one of 'beam', 'faust', 'local'"),
        (("run", "--input", ".", "--runner", "flink"), "one process at a time"),
        (("run", "--input", ".", "--engine", "local", "--", "--x"), "options after -- are Beam's"),
        (("run", "--config", "no.yaml"), "no.yaml: No such file"),
        (("query", "SELECT 1", "--clickhouse", "pg:x"), "neither chdb:PATH nor http(s)://HOST:PORT/DB"),
        (("query", "DROP TABLE x", "--clickhouse", "chdb:db"), "query only reads"),
        (("correlate",), "--once or --every"),
        (("correlate", "--every", "soon"), "'soon' is no duration"),
        (("simulate", "--scenario", "P99", "--seed", "1", "--out", "x"), "P99"),
        (
            ("simulate", "--scenario", "P01", "--seed", "1", "--out", "x", "--start", "noon"),
            "'noon' is no time",
        ),
        (("topics", "create"), "no broker"),
        (("nope",), "No such command"),
    ],
)
def test_wrong_use_is_named_and_ends_with_2(driftline: Call, arguments: tuple[str, ...], says: str) -> None:
    answer = driftline(*arguments)
    assert answer.code == 2, answer.err
    assert says in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "asks",
    [
        ("query", "SELECT 1"),
        ("label", "0123abcd", "true"),
        ("labels",),
        ("correlate", "--once"),
        ("compare", "--baseline", "service_version=v1", "--candidate", "service_version=v2"),
    ],
)
def test_who_reads_a_store_makes_none_at_a_mistyped_path(
    driftline: Call, tmp_path: Path, asks: tuple[str, ...]
) -> None:
    (tmp_path / "other").mkdir()
    for typo in ("typo", "other"):
        answer = driftline(*asks, "--clickhouse", f"chdb:{typo}")
        assert answer.code == 2
        assert f"chdb:{tmp_path / typo}: no store is there" in answer.err
    assert list(tmp_path.iterdir()) == [tmp_path / "other"]
    assert list((tmp_path / "other").iterdir()) == []


def test_doctor_makes_no_store_and_says_that_none_is_there(driftline: Call, tmp_path: Path) -> None:
    answer = driftline("doctor", "--clickhouse", "chdb:db", "--json")
    assert answer.code == 0
    found = {each["what"]: each["state"] for each in json.loads(answer.out)}
    assert found["clickhouse"] == "absent"
    assert not (tmp_path / "db").exists()


def test_a_store_that_is_not_there_ends_with_1(driftline: Call) -> None:
    answer = driftline("query", "SELECT 1", "--clickhouse", "http://127.0.0.1:1/x")
    reason = os.strerror(errno.ECONNREFUSED)
    assert answer.code == 1
    assert answer.err == f"driftline: http://127.0.0.1:1/x: connecting failed: {reason}\n"


def test_a_run_then_a_query(driftline: Call, tmp_path: Path) -> None:
    folder = tmp_path / "input" / "telemetry.requests.v1"
    folder.mkdir(parents=True)
    lines = [request(START_MS + second * 1000) for second in range(300)]
    (folder / "part.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    answer = driftline("run", "--input", "input", "--engine", "local", "--until-end", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["accounts"]["telemetry.requests.v1"]["accepted"] == 300
    sql = "SELECT sum(samples) AS n FROM signal_buckets WHERE signal = 'gen_ai.server.time_to_first_token'"
    answer = driftline("query", sql, "--format", "json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)[0]["n"] >= 300


def test_a_run_over_nothing_says_so_and_what_it_suggests_works(
    driftline: Call, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "input").mkdir()
    answer = driftline("run", "--input", "input", "--engine", "local", "--until-end")
    assert "nothing to read in input: it holds no folder of a topic" in caplog.text
    suggested = shlex.split(answer.out.splitlines()[-1])
    assert driftline(*suggested[1:]).code == 0


def test_check_shows_what_a_config_comes_to(driftline: Call, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("windows: {lateness: 45s}\n")
    answer = driftline("check", "--json", "c.yaml")
    assert json.loads(answer.out)["config"]["settings"]["windows"]["lateness_s"] == 45
    shown = driftline("check", "c.yaml").out
    (tmp_path / "again.yaml").write_text(shown)
    assert driftline("check", "again.yaml").out.splitlines()[1:] == shown.splitlines()[1:]
    (tmp_path / "c.yaml").write_text("windows: {latenes: 45s}\n")
    answer = driftline("check", "c.yaml")
    assert (answer.code, "did you mean 'lateness'" in answer.err) == (2, True)
