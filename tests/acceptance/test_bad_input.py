"""Bad input through the whole pipeline: counted as designed, felt by no detector, found nowhere after."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import zstandard

from operators.clickhouse import Store
from tests.acceptance import poison
from tests.acceptance.command import Answer, start

ZSTD_FRAME = b"\x28\xb5\x2f\xfd"


class Ran(NamedTuple):
    """A run that is over: where, what was put in, what it said."""

    folder: Path
    counts: poison.Counts
    answer: Answer

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.answer.out)
        return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Three runs side by side: poisoned on each engine, and clean."""
    started = {}
    for name, engine in (("local", "local"), ("beam", "beam"), ("clean", "local")):
        folder = tmp_path_factory.mktemp(name)
        counts = poison.write(folder / "in", poisoned=name != "clean")
        state = "state: state\n" if engine == "local" else ""
        (folder / "c.yaml").write_text(
            f"input: in\noutput: out\nclickhouse: chdb:db\nengine: {engine}\ncorrelate: 1h\n{state}"
        )
        process = start(folder, "run", "--config", "c.yaml", "--until-end", "--json")
        started[name] = (folder, counts, process)
    over = {name: Ran(folder, counts, run.answer()) for name, (folder, counts, run) in started.items()}
    for each in over.values():
        assert each.answer.code == 0, each.answer.err
    return over


@pytest.fixture(params=["local", "beam"])
def run(runs: dict[str, Ran], request: pytest.FixtureRequest) -> Ran:
    return runs[request.param]


def tables(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    with Store.open(f"chdb:{folder / 'db'}") as store:
        names = store.query("SELECT name FROM system.tables WHERE database = {d:String}", {"d": "driftline"})
        return {name: store.query(f"SELECT * FROM {name}").to_pylist() for name in names["name"].to_pylist()}


def letters(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "out").glob("*.dlq/*"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_every_sample_ends_as_it_should_and_the_sum_is_what_came_in(run: Ran) -> None:
    expected: dict[str, dict[str, int]] = {}
    for (topic, outcome, _), samples in run.counts.items():
        account = expected.setdefault(
            topic, dict.fromkeys(("in", "accepted", "refused", "ignored", "late", "duplicate"), 0)
        )
        account[outcome] += samples
        account["in"] += samples
    assert run.report["accounts"] == expected
    named = {(t, o, r): n for t, o, r, n in run.report["reasons"] if o != "unknown_field"}
    assert named == {key: samples for key, samples in run.counts.items() if key[2]}


def test_the_accounts_are_in_their_table_too(run: Ran) -> None:
    rows = tables(run.folder)["ingest_accounts"]
    assert rows
    last = max(row["revision"] for row in rows)
    told = sum(row["samples"] for row in rows if row["revision"] == last and row["outcome"] == "refused")
    assert told == sum(samples for (_, outcome, _), samples in run.counts.items() if outcome == "refused")


def test_every_refusal_is_a_dead_letter_with_its_place(run: Ran) -> None:
    found = Counter((letter["topic"], letter["reason"]) for letter in letters(run.folder))
    expected = {(t, r): n for (t, outcome, r), n in run.counts.items() if outcome == "refused"}
    assert found == expected
    for letter in letters(run.folder):
        assert letter["partition"].startswith(f"{letter['topic']}/")
        assert letter["offset"] >= 0
        assert len(letter["sha256"]) == 64


def test_bytes_are_kept_only_of_plain_json(run: Ran) -> None:
    kept = [letter for letter in letters(run.folder) if letter["value"]]
    assert {letter["reason"] for letter in kept} == {
        "wrong_type", "missing_field", "out_of_range", "unknown_signal",
    }  # fmt: skip
    assert any(poison.SHOWN in json.dumps(letter["value"]) for letter in kept)
    assert not any("vector" in letter["value"] for letter in kept)


def test_text_and_vectors_are_found_nowhere(run: Ran) -> None:
    places: dict[str, bytes] = {"stdout": run.answer.out.encode(), "stderr": run.answer.err.encode()}
    places |= {name: repr(rows).encode() for name, rows in tables(run.folder).items()}
    for folder in ("out", "db", "state"):
        for path in (run.folder / folder).rglob("*"):
            if path.is_file():
                places[str(path)] = b"".join(unpacked(path.read_bytes()))
    assert any("signal_buckets" in name for name in places)
    assert any(name.endswith("driftline.state") for name in places) == (run.report["engine"] == "local")
    found = [name for name, held in places.items() if any(secret in held for secret in secrets())]
    assert found == []


def secrets() -> Iterator[bytes]:
    """The planted text, and the planted vector in every spelling that a leak could have."""
    yield poison.CANARY.encode()
    for vector in (poison.VECTOR, (poison.VECTOR * 0.9).astype("<f4")):
        for kind in ("<f2", "<f4", "<f8"):
            numbers = vector.astype(kind)
            yield numbers[:4].tobytes()
            yield base64.b64encode(numbers.tobytes())[:10]
        yield ", ".join(str(float(number)) for number in vector[:3]).encode()
        yield ",".join(str(np.float32(number)) for number in vector[:3]).encode()


def unpacked(data: bytes) -> Iterator[bytes]:
    """Bytes, and what the zstd frames in them hold, frames in frames too."""
    yield data
    place = data.find(ZSTD_FRAME)
    while place >= 0:
        try:
            inner = zstandard.ZstdDecompressor().decompressobj().decompress(data[place:])
        except zstandard.ZstdError:
            inner = b""  # the four bytes were chance
        if inner:
            yield from unpacked(inner)
        place = data.find(ZSTD_FRAME, place + 1)


def test_the_search_would_find_what_it_looks_for(run: Ran) -> None:
    raw = b"".join(path.read_bytes() for path in (run.folder / "in").rglob("*.ndjson"))
    assert sum(secret in raw for secret in secrets()) >= 3
    packed = b"x" + zstandard.compress(b"y" + zstandard.compress(raw))
    assert poison.CANARY.encode() not in packed
    assert any(poison.CANARY.encode() in part for part in unpacked(packed))


def test_no_detector_was_touched(run: Ran, runs: dict[str, Ran]) -> None:
    clean = runs["clean"]
    with_it, without = tables(run.folder), tables(clean.folder)
    for name in ("signal_buckets", "anomaly_events", "anomaly_windows", "change_events"):
        assert told(with_it[name]) == told(without[name]), name
    assert len(with_it["signal_buckets"]) > 50
    assert run.report["events"] == clean.report["events"]


def told(rows: list[dict[str, Any]]) -> list[str]:
    """Rows without the moment they were written, in an order of their own."""
    return sorted(repr({name: row[name] for name in row if name != "ingested_at"}) for row in rows)


def test_another_folder_is_skipped_with_one_warning(run: Ran) -> None:
    assert run.answer.err.count("telemetry.unknown.v1") == 1
