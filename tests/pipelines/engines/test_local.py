"""The local loop: a sink that refuses advances nothing, a stop is clean, saved state goes on exactly."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from operators.clickhouse import Store, StoreError
from pipelines.config import Config, resolve
from pipelines.engines import local
from pipelines.engines.job import Job
from pipelines.engines.report import Report
from pipelines.engines.snapshot import FILE
from pipelines.errors import UsageError
from pipelines.run import start
from tests.contract import recording
from tests.operators.adapters.memory import START_MS, request


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recording")
    recording.write(root)
    return root


def config(recorded: Path, place: Path, **more: object) -> Config:
    return resolve(
        input=str(recorded),
        output=str(place / "out"),
        clickhouse=f"chdb:{place / 'db'}",
        engine="local",
        correlate_s=1e9,
        **more,
    )


def events(place: Path) -> list[tuple[str, int, str]]:
    lines = (place / "out" / "anomalies.v1" / "part-0.ndjson").read_text().splitlines()
    bodies = [json.loads(line)["data"] for line in lines]
    return sorted((body["event_id"], body["revision"], body["status"]) for body in bodies)


@pytest.fixture(scope="module")
def whole(
    recorded: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Report, list[tuple[str, int, str]]]:
    place = tmp_path_factory.mktemp("whole")
    report = start(Job(config(recorded, place), until_end=True))
    return report, events(place)


def test_a_store_that_refuses_ends_the_run_with_nothing_advanced(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed: list[object] = []

    def refuse(self: Store, table: str, *_: object) -> None:
        raise StoreError(f"insert into {table} refused: disk full")

    monkeypatch.setattr(Store, "insert", refuse)
    monkeypatch.setattr(Store, "migrate", lambda self: [])
    monkeypatch.setattr(
        "operators.adapters.files.FileSource.commit", lambda self, done: committed.append(done)
    )
    with pytest.raises(StoreError, match="disk full"):
        start(Job(config(recorded, tmp_path, state=str(tmp_path / "state")), until_end=True))
    assert committed == []
    assert not (tmp_path / "state" / FILE).exists()


@pytest.mark.parametrize(("until_end", "done"), [(True, 100), (False, 60)])
def test_without_state_a_window_that_has_not_ended_is_done_with_at_the_end_of_input_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until_end: bool, done: int
) -> None:
    folder = tmp_path / "input" / "telemetry.requests.v1"
    folder.mkdir(parents=True)
    lines = [request(START_MS + second * 1000) for second in range(100)]
    for place, second in enumerate(range(0, 100, 20)):
        (folder / f"part-{place}.ndjson").write_bytes(b"\n".join(lines[second : second + 20]) + b"\n")
    committed: dict[str, int] = {}
    stop = threading.Event()

    def commit(_: object, positions: dict[str, int]) -> None:
        committed.update(positions)
        if not until_end and committed.get("telemetry.requests.v1/0", 0) >= done:
            stop.set()

    monkeypatch.setattr(local, "FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr("operators.adapters.files.MAX_RECORDS", 20)
    monkeypatch.setattr("operators.adapters.files.FileSource.commit", commit)
    report = start(Job(config(tmp_path / "input", tmp_path), until_end=until_end, stop=stop))
    assert report.ending == ("done" if until_end else "stopped")
    assert committed == {"telemetry.requests.v1/0": done}


def test_a_stopped_run_goes_on_from_its_state(
    recorded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: tuple[Report, list[tuple[str, int, str]]],
) -> None:
    monkeypatch.setattr(local, "FLUSH_EVERY_S", 0.0)
    asked = config(recorded, tmp_path, state=str(tmp_path / "state"))
    ends, samples = [], 0
    for part in (3, 5, 10_000):
        stop, left = threading.Event(), [part]

        def count(_: int | None, stop: threading.Event = stop, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                stop.set()

        report = start(Job(asked, until_end=True, stop=stop, progress=count))
        ends.append(report.ending)
        samples += sum(account["in"] for account in report.accounts.values())
    assert ends == ["stopped", "stopped", "done"]
    assert samples == sum(account["in"] for account in whole[0].accounts.values())
    assert events(tmp_path) == whole[1]


def test_what_is_read_again_after_a_kill_adds_no_row(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = config(recorded, tmp_path, state=str(tmp_path / "state"))
    saved = []
    for every_s, parts in ((0.0, 8), (0.0, 12), (1e9, 10_000)):
        monkeypatch.setattr(local, "FLUSH_EVERY_S", every_s)
        stop, left = threading.Event(), iter(range(parts - 1))

        def count(_: int | None, stop: threading.Event = stop, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                stop.set()

        if len(saved) == 2:  # the second run is killed before it saves, and the third flushes at its end
            (tmp_path / "state" / FILE).write_bytes(saved[0])
        start(Job(asked, until_end=True, stop=stop, progress=count))
        saved.append((tmp_path / "state" / FILE).read_bytes())
    assert saved[0] != saved[1]
    with Store.open(asked.clickhouse) as store:
        for table in ("signal_buckets", "anomaly_windows"):
            raw, final = (
                store.query(f"SELECT count() AS n FROM {table} {how}")["n"][0].as_py()
                for how in ("", "FINAL")
            )
            assert raw == final > 0


def test_state_of_another_config_is_refused(recorded: Path, tmp_path: Path) -> None:
    asked = config(recorded, tmp_path, state=str(tmp_path / "state"))
    stop = threading.Event()
    stop.set()
    start(Job(asked, until_end=True, stop=stop))
    other = msgspec.structs.replace(
        asked, settings=msgspec.structs.replace(asked.settings, deduplicate=False)
    )
    with pytest.raises(UsageError, match=r"driftline\.state belongs to input"):
        start(Job(other, until_end=True))


def test_state_that_is_none_is_refused(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FILE).write_bytes(b"something else")
    with pytest.raises(UsageError, match="no state of driftline"):
        start(Job(config(recorded, tmp_path, state=str(tmp_path / "state")), until_end=True))
