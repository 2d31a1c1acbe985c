"""The log as JSON: one object a line, with the record's own fields, whatever is in them."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.observe import logs
from tests.acceptance.command import start
from tests.contract import recording


@pytest.fixture
def lines() -> Iterator[Any]:
    """A logger whose lines are read back."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    logger = logging.getLogger("operators.of_a_test")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.propagate = True


def test_a_line_is_one_object_with_the_fields_of_its_record(lines: Any) -> None:
    logger, read = lines
    logger.warning("the store is\n%s", "away", extra={"away_s": 3.5, "where": Path("/there"), "time": "x"})
    (line,) = read()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "operators.of_a_test",
        "message": "the store is\naway",
        "away_s": 3.5,
        "where": "/there",
    }


def test_a_traceback_stays_in_its_line(lines: Any) -> None:
    logger, read = lines
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logger.exception("failed")
    (line,) = read()
    assert line["exception"].endswith("RuntimeError: broken")


def test_a_run_tells_its_course_as_json(tmp_path: Path) -> None:
    recording.write(tmp_path / "in")
    (tmp_path / "run.yaml").write_text("log_format: json\nobserve: 127.0.0.1:0\nstate: ./state\n")
    how = ("--engine", "local", "--until-end", "--config", "run.yaml", "--json")
    answer = start(tmp_path, "run", "--input", "in", "--clickhouse", "chdb:./db", *how).answer()
    assert answer.code == 0
    told = [json.loads(line) for line in answer.err.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in told)
    messages = [line["message"] for line in told]
    assert messages[0].startswith("metrics, health and readiness at http://127.0.0.1:")
    started = next(line for line in told if line["message"].startswith("run started"))
    assert (started["engine"], started["input"]) == ("local", "in")
    assert any(len(line.get("partitions", ())) == 5 for line in told)
    assert told[-1]["ending"] == "done"
    assert told[-1]["samples"] == sum(each["in"] for each in json.loads(answer.out)["accounts"].values())
    assert "secret words" not in answer.err


def test_what_a_run_fails_with_is_json_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "db").write_text("no folder")
    how = ("--engine", "local", "--until-end", "--log-format", "json")
    answer = start(tmp_path, "run", "--input", "in", "--clickhouse", "chdb:./db", *how).answer()
    assert answer.code == 1
    last = json.loads(answer.err.splitlines()[-1])
    assert (last["level"], last["logger"]) == ("error", "driftline")
    assert "db" in last["message"]


def test_a_library_that_repeats_itself_is_heard_now_and_then() -> None:
    now = 0.0
    sparing = logs.Sparing(clock=lambda: now)

    def passes(name: str, line: int) -> str | None:
        record = logging.LogRecord(name, logging.ERROR, "client.py", line, "no broker %d", (line,), None)
        return record.getMessage() if sparing.filter(record) else None

    assert passes("aiokafka.client", 1) == "no broker 1"
    assert [passes("aiokafka.client", 1) for _ in range(3)] == [None] * 3
    assert passes("aiokafka.client", 2) == "no broker 2"  # another thing
    assert passes("operators.adapters", 3) == passes("operators.adapters", 3) == "no broker 3"  # our own
    now = logs.SPARED_S
    assert passes("aiokafka.client", 1) == "no broker 1 (and 3 more like it before)"
    assert passes("aiokafka.client", 2) == "no broker 2"
