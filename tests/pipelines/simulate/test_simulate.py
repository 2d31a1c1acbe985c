"""The simulator: same bytes from the same seed, a twin that differs only inside faults, sound records."""

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from pipelines.errors import UsageError
from pipelines.simulate import DEFAULT_START_MS, Label, read_labels, simulate
from schemas.wire import decode

SHORT: dict[str, Any] = {"warm_up_s": 1200.0, "quiet_s": 600.0}
MIXED = ("P01:duration=1200", "N3:duration=900", "P08:strong:duration=900", "P17:duration=600")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    simulate(MIXED, 5, folder, **SHORT)
    return folder


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twin")
    simulate(MIXED, 5, folder, twin=True, **SHORT)
    return folder


def test_a_folder_is_simulated_into_anew(tmp_path: Path) -> None:
    short = {"warm_up_s": 600.0, "quiet_s": 60.0}
    simulate(["N1:duration=300"], 5, tmp_path / "new", **short)
    simulate(["N1:duration=300"], 6, tmp_path / "again", format="arrow", **short)
    (tmp_path / "again" / "telemetry.gpu.v1" / "00007.ndjson").write_text("{}\n")
    (tmp_path / "again" / "changes.v1" / "mine.ndjson").write_text("")
    simulate(["N1:duration=300"], 5, tmp_path / "again", **short)
    (tmp_path / "again" / "changes.v1" / "mine.ndjson").unlink()
    assert digests(tmp_path / "again") == digests(tmp_path / "new")


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def records(folder: Path, topic: str) -> Iterator[dict[str, Any]]:
    decoder = msgspec.json.Decoder()
    for path in sorted((folder / topic).iterdir()):
        yield from decoder.decode_lines(path.read_bytes())


@functools.cache
def requests(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for record in records(folder, "telemetry.requests.v1"):
        record.pop("producer_seq")
        found[record["request_id"], "started" if record["status"] == "started" else "completed"] = record
    return found


def labels(folder: Path) -> dict[str, Label]:
    return {label.scenario: label for label in read_labels(folder / "labels.json")}


@pytest.mark.parametrize("form", ["ndjson", "arrow"])
def test_the_same_seed_gives_the_same_bytes(form: Any, tmp_path: Path) -> None:
    for name in ("one", "two"):
        simulate(["N7:duration=60"], 3, tmp_path / name, format=form, **SHORT)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    simulate(["N7:duration=60"], 4, tmp_path / "other", format=form, **SHORT)
    assert digests(tmp_path / "one") != digests(tmp_path / "other")


def test_the_twin_differs_only_inside_the_faults(day: Path, twin: Path) -> None:
    truth = labels(day)
    ours, theirs = requests(day), requests(twin)
    assert set(theirs) <= set(ours)
    faults = [label for label in truth.values() if not label.is_control]
    started = {key[0]: record["event_time"] for key, record in ours.items() if key[1] == "started"}
    slow_ms = 150_000
    differing: Counter[str] = Counter()
    for key, record in ours.items():
        if theirs.get(key) == record:
            continue
        at = started[key[0]]
        struck = [label for label in faults if label.onset <= at < label.end + slow_ms]
        assert [label for label in struck if touches(label, record)], record
        differing.update(label.scenario for label in struck)
    assert set(differing) == {"P01", "P08", "P17"}


def touches(label: Label, record: dict[str, Any]) -> bool:
    return all(
        record[name] in ([value] if isinstance(value, str) else value)
        for name, value in label.identity.items()
        if name in record and name != "prompt_version"
    )


def test_the_twin_keeps_the_controls_and_loses_the_faults(day: Path, twin: Path) -> None:
    assert set(labels(twin)) == {"N3"}
    assert labels(twin)["N3"] == labels(day)["N3"]
    guilty = {label.change_id for label in labels(day).values()} - {None}
    ours = {record["change_id"] for record in records(day, "changes.v1")}
    theirs = {record["change_id"] for record in records(twin, "changes.v1")}
    assert len(guilty) == 1
    assert guilty <= ours
    assert not guilty & theirs
    assert theirs < ours


def test_embeddings_and_machines_differ_only_inside_the_faults(day: Path, twin: Path) -> None:
    first = min(label.onset for label in labels(day).values()) - 2000
    for topic in ("telemetry.embeddings.v1", "telemetry.gpu.v1", "telemetry.metrics.v1"):
        ours = [record for record in records(day, topic) if record["event_time"] < first]
        theirs = [record for record in records(twin, topic) if record["event_time"] < first]
        assert len(ours) > 500
        assert ours == theirs


def test_every_record_is_accepted(day: Path) -> None:
    for folder in day.iterdir():
        if folder.is_dir():
            lines = [line for path in sorted(folder.iterdir()) for line in path.read_bytes().splitlines()]
            joined = b"\n".join(lines[:: max(1, len(lines) // 3000)])
            decoded = decode(folder.name, joined)
            assert decoded.accepted == joined.count(b"\n") + 1
            assert not decoded.unknown_fields


def test_arrow_and_ndjson_carry_the_same_samples(tmp_path: Path) -> None:
    for form in ("ndjson", "arrow"):
        simulate(["P06:duration=60"], 2, tmp_path / form, format=form, **SHORT)  # type: ignore[arg-type]
    for topic in (
        "telemetry.requests.v1",
        "telemetry.embeddings.v1",
        "telemetry.gpu.v1",
        "telemetry.metrics.v1",
    ):
        with pa.ipc.open_stream(tmp_path / "arrow" / topic / "00000.arrows") as stream:
            batch = stream.read_next_batch()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        path = tmp_path / "ndjson" / topic / "00000.ndjson"
        lines = path.read_bytes().splitlines()[: batch.num_rows]
        arrow, ndjson = decode(topic, sink.getvalue().to_pybytes()), decode(topic, b"\n".join(lines))
        assert arrow.accepted == ndjson.accepted == batch.num_rows
        assert not arrow.refused
        (left,), (right,) = arrow.chunks, ndjson.chunks
        assert left.batch.schema.names == right.batch.schema.names
        for name in left.batch.schema.names:
            for one, other in zip(
                *(each.batch.column(name).to_pylist() for each in (left, right)), strict=True
            ):
                assert one == pytest.approx(other) if isinstance(one, float) else same(one, other)


def same(one: Any, other: Any) -> bool:
    """Equal, but for what a float32 loses of a map's values."""
    if isinstance(one, list) and one and isinstance(one[0], tuple):
        return dict(one) == pytest.approx(dict(other))
    return bool(one == other)


def test_samples_arrive_nearly_in_order_and_are_numbered_without_gaps(day: Path) -> None:
    for topic in ("telemetry.requests.v1", "telemetry.gpu.v1", "telemetry.metrics.v1"):
        newest, numbers = 0, dict[str, list[int]]()
        for record in records(day, topic):
            assert record["event_time"] > newest - 5_000
            newest = max(newest, record["event_time"])
            numbers.setdefault(record["producer"], []).append(record["producer_seq"])
        for each in numbers.values():
            assert sorted(each) == list(range(1, len(each) + 1))


def test_started_and_completed_requests_belong_together(day: Path) -> None:
    found = requests(day)
    for (request, kind), record in found.items():
        if kind == "completed":
            start = found[request, "started"]["event_time"]
            assert record["event_time"] - start == pytest.approx(record["duration_s"] * 1000, abs=2)
    unfinished = sum(kind == "started" for _, kind in found) - sum(kind == "completed" for _, kind in found)
    assert 0 <= unfinished < 50


def test_thermal_throttling_slows_one_replica_and_heats_one_gpu(day: Path, twin: Path) -> None:
    label = labels(day)["P01"]
    ours, theirs = requests(day), requests(twin)
    assert label.root is not None
    throttled = range(label.onset + 750_000, label.end)
    slower = [
        ours[key]["tpot_s"] / record["tpot_s"]
        for key, record in theirs.items()
        if "tpot_s" in record and "tpot_s" in ours[key] and record.get("replica") == label.root["replica"]
        if record["event_time"] in throttled
    ]
    assert slower
    assert slower == pytest.approx([1.4] * len(slower), rel=1e-3)
    hot = {
        record["gpu"]
        for record in records(day, "telemetry.gpu.v1")
        if record.get("throttle_reasons") == ["hw_thermal_slowdown"]
    }
    assert hot == {label.root["gpu"]}


def test_user_reports_come_after_the_onset_and_only_where_users_suffer(tmp_path: Path) -> None:
    found = simulate(["P22:strong", "P19", "N7"], 1, tmp_path, **SHORT)
    strong, telemetry, control = found
    assert strong.first_user_report is not None
    assert strong.first_user_report > strong.onset
    assert telemetry.first_user_report is None
    assert control.first_user_report is None
    assert control.must_stay_silent == [{}]
    assert strong.onset > DEFAULT_START_MS


@pytest.mark.parametrize("wrong", ["P99", "P01:huge", "P01:share=x", ""])
def test_an_unknown_scenario_or_option_says_what_there_is(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"P01|weak"):
        simulate([wrong], 1, tmp_path)
