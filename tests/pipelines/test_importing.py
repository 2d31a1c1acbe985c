"""CSV files become records that are all accepted, or the message says what would be right."""

import pytest

from operators.intake import Intake
from operators.settings import Settings
from operators.sources.files import partitions
from pipelines.errors import UsageError
from pipelines.importing import import_csv
from schemas.wire import decode

TOPIC = "telemetry.requests.v1"
TRACE = (
    "TIMESTAMP,Context Tokens,took_ms\r\n"
    "2023-11-16 18:17:03.9799600,4808,10\r\n"
    "2023-11-16T18:17:04.03,,2.5\r\n"
)
MAPS = ("event_time=TIMESTAMP", "input_tokens=Context Tokens", "duration_s=took_ms*0.001")
SETS = ("service=trace", "status=ok", "request_id=code-{row}")


def imported(tmp_path, text, maps=MAPS, sets=SETS, topic=TOPIC, name="code"):
    file = tmp_path / f"{name}.csv"
    file.write_text(text, newline="")
    return import_csv(file, topic, maps, sets, tmp_path / "out")


def rows(tmp_path, topic=TOPIC):
    found = []
    for partition in partitions(tmp_path / "out"):
        for records in partition.read():
            for record in records:
                decoded = decode(topic, record.value)
                assert not decoded.refused
                found += [row for chunk in decoded.chunks for row in chunk.batch.to_pylist()]
    return found


def test_rows_become_records(tmp_path):
    assert imported(tmp_path, TRACE) == 2
    first, second = rows(tmp_path)
    assert first["event_time"] == 1_700_158_623_979
    assert (first["input_tokens"], first["duration_s"], first["request_id"]) == (4808, 0.01, "code-1")
    assert (second["event_time"], second["input_tokens"], second["request_id"]) == (
        1_700_158_624_030,
        None,
        "code-2",
    )
    assert second["duration_s"] == pytest.approx(0.0025)


@pytest.mark.parametrize(
    ("written", "factor", "unix_ms"),
    [
        ("2026-01-05T08:00:00Z", "", 1_767_600_000_000),
        ("2026-01-05T08:00:00+02:00", "", 1_767_592_800_000),
        ("2026-01-05 08:00", "", 1_767_600_000_000),
        ("2026-01-05", "", 1_767_571_200_000),
        ("1767600000000", "", 1_767_600_000_000),
        ("1767600000.25", "*1000", 1_767_600_000_250),
    ],
)
def test_times_in_their_many_spellings(tmp_path, written, factor, unix_ms):
    imported(tmp_path, f"t\n{written}\n", [f"event_time=t{factor}"])
    assert [row["event_time"] for row in rows(tmp_path)] == [unix_ms]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [("status=fine", "status is one of cancelled, error, ok"), ("request_id=x-{rowe}", r"only \{row\}")],
)
def test_a_constant_that_no_reader_would_take_is_said_at_once(tmp_path, wrong, says):
    kept = [each for each in SETS if not each.startswith(wrong.partition("=")[0])]
    with pytest.raises(UsageError, match=says):
        imported(tmp_path, TRACE, sets=[*kept, wrong])


def test_files_of_the_same_hours_are_partitions_side_by_side(tmp_path):
    imported(tmp_path, TRACE, name="code")
    imported(tmp_path, TRACE, name="conv")
    imported(tmp_path, TRACE, name="code")
    found = partitions(tmp_path / "out")
    assert [each.name for each in found] == [f"{TOPIC}/0", f"{TOPIC}/1"]
    for partition in found:
        intake = Intake(TOPIC, partition.name, Settings())
        for records in partition.read():
            assert intake.take(records).accounts.accepted.total() == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"maps": ("evnt_time=TIMESTAMP",)}, "did you mean event_time"),
        ({"maps": ("event_time=Time",)}, "it has TIMESTAMP, Context Tokens, took_ms"),
        ({"maps": ("event_time",)}, "--map field=column"),
        ({"maps": ("event_time=TIMESTAMP", "duration_s=took_ms*slow")}, "'slow' is no number"),
        ({"maps": ("event_time=TIMESTAMP", "service=took_ms*2")}, "for fields that hold numbers"),
        ({"maps": (*MAPS, "status=took_ms")}, "status is given twice"),
        (
            {"maps": ("event_time=TIMESTAMP", "ttft_s=TIMESTAMP")},
            "row 1: '2023-11-16 18:17:03.9799600' is not a number",
        ),
        ({"maps": ("event_time=took_ms", "input_tokens=took_ms")}, "row 2: '2.5' is not a whole number"),
        ({"maps": ("event_time=TIMESTAMP", "gpus=took_ms")}, "gpus holds more than a CSV cell can"),
        ({"sets": ("service=trace",)}, "request_id, text; status, one of cancelled, error"),
        ({"topic": "telemetry.request.v1"}, "one of telemetry.requests.v1"),
    ],
)
def test_wrong_use_says_what_would_be_right(tmp_path, changed, message):
    with pytest.raises(UsageError) as error:
        imported(tmp_path, TRACE, **changed)
    assert message in str(error.value)
    assert not list((tmp_path / "out").rglob("*.arrow*"))


def test_a_file_that_is_missing_or_no_csv(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        import_csv(tmp_path / "none.csv", TOPIC, MAPS, SETS, tmp_path)
    with pytest.raises(UsageError, match=r"code\.csv"):
        imported(tmp_path, "TIMESTAMP,Context Tokens,took_ms\n1,2\n")


def test_progress_ends_at_the_size_of_the_file(tmp_path):
    told = []
    file = tmp_path / "code.csv"
    file.write_text(TRACE)
    import_csv(file, TOPIC, MAPS, SETS, tmp_path / "out", lambda done, size: told.append((done, size)))
    assert told[-1] == (file.stat().st_size, file.stat().st_size)
