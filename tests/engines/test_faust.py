"""Faust on a real Kafka, however its workers come and go: the same events and accounts as the local loop."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reliability.outcome import Outcome, differences
from benchmarks.reliability.place import PARTS, FaultError, Feed, Place
from benchmarks.reliability.recorded import Record
from benchmarks.reliability.topics import PATIENCE_S, recreate
from operators.adapters.drive import series_of
from pipelines import warm
from pipelines.config import resolve
from pipelines.engines.job import Job
from pipelines.run import start
from pipelines.stack import Stack
from pipelines.stack.ports import Ports
from tests.contract import recording
from tests.engines.broker import NEVER_IDLE_S, until


class Worker:
    """A worker process and its own word on what it holds."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process = process
        self._url = f"http://127.0.0.1:{port}/driftline/"
        self._log = log

    def holds(self, what: str) -> dict[str, Any]:
        """Its ``partitions`` or ``shards``; empty while nobody answers."""
        if self.process.poll() is not None:
            raise AssertionError(f"the worker ended:\n{self._log.read_text()[-3000:]}")
        with suppress(OSError, HTTPException):
            return dict(json.loads(urllib.request.urlopen(self._url, timeout=20).read())[what])
        return {}

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        self.process.kill()
        self.process.wait()


@contextmanager
def worker(place: Place) -> Iterator[Worker]:
    """``faust -A pipelines.faust_app worker`` in a process of its own."""
    port = Ports.free().kafka
    log = place.folder / f"worker-{port}.log"
    faust = str(Path(sys.executable).parent / "faust")
    command = [faust, "-A", "pipelines.faust_app", "worker", "-l", "warn", "--web-port", str(port)]
    environment = os.environ | {"DRIFTLINE_CONFIG": str(place.file), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=place.folder)
    try:
        yield Worker(process, port, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()


@pytest.fixture
def place(
    stack: Stack, records: Sequence[Record], request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Place]:
    stack.up(*PARTS["faust"])
    name = re.sub(r"\W+", "_", request.node.name).strip("_")
    place = Place(stack, "faust", name, records, tmp_path / "run", idle_s=NEVER_IDLE_S)
    yield place
    place.close()


def send(place: Place, records: Sequence[Record], over_s: float = 0.0) -> None:
    """Send in order, spread over so many seconds."""
    feed = Feed(place.stack.kafka, records, over_s)
    feed.start()
    feed.done()


def equal(found: Outcome, wanted: Outcome) -> None:
    """Nothing lost, nothing doubled."""
    assert differences(found, wanted) == []
    assert found.accounts == wanted.accounts
    assert found.counts == wanted.counts


def test_partitions_and_shards_move_with_their_state(
    place: Place, records: Sequence[Record], wanted: Outcome
) -> None:
    half = len(records) // 2
    with worker(place) as first:
        send(place, records[:half])
        until(lambda: len(first.holds("shards")) == 4, "the first worker")
        with worker(place) as second:
            until(lambda: second.holds("shards") and second.holds("partitions"), "the second worker")
            until(lambda: len(first.holds("shards")) == 2, "the first worker's share")
            send(place, records[half:], over_s=1.0)
            every = sorted(f"{topic}/{n}" for topic, count in place.partitions.items() for n in range(count))
            for what, all_of_them in (("partitions", every), ("shards", list("0123"))):
                until(lambda: sorted([*first.holds(what), *second.holds(what)]) == all_of_them, what)  # noqa: B023
    found = place.finish()
    equal(found, wanted)
    again = place.finish()  # which finds nothing left
    equal(again, wanted)
    assert again.published == found.published


def test_workers_killed_under_load(place: Place, records: Sequence[Record], wanted: Outcome) -> None:
    rng = random.Random(1)
    cuts = [0, *sorted(rng.sample(range(len(records) // 4, len(records)), 3)), len(records)]
    for first, last in pairwise(cuts[:-1]):
        with worker(place) as it:
            until(lambda it=it: len(it.holds("shards")) == 4, "the worker")
            send(place, records[first:last], over_s=rng.uniform(0.5, 2))
            it.kill()
    send(place, records[cuts[-2] :])
    equal(place.finish(), wanted)


def test_a_topic_made_anew_is_not_taken_for_what_was_read(place: Place, records: Sequence[Record]) -> None:
    send(place, records[:600])
    place.finish()
    recreate(place.stack.kafka, {"telemetry.requests.v1": 2})
    send(place, [record for record in records[:300] if record.topic == "telemetry.requests.v1"])
    place.start(until_end=True)
    with pytest.raises(FaultError, match="ended with 1"):
        place.end()
    assert "deleted and made anew" in place.log.read_text()


def test_a_group_that_starts_warm_knows_what_history_taught(
    place: Place, records: Sequence[Record], tmp_path: Path
) -> None:
    recording.write(tmp_path / "past")
    config = resolve(place.file, engine="faust")
    send(place, records[:200])  # too few to know all series by
    report = start(Job(config, until_end=True, warm_start=str(tmp_path / "past")))
    assert report.series == sum(map(series_of, warm.shards(config, str(tmp_path / "past"))))
