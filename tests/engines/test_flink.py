"""Beam on a real Flink cluster, watched, stopped and resumed: the same events and accounts as the loop."""

import os
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from benchmarks.reliability.outcome import Outcome, differences, of_kafka
from benchmarks.reliability.place import PARTS, Place
from benchmarks.reliability.recorded import Record
from pipelines.engines.flink import Flink
from pipelines.errors import EngineError
from pipelines.stack import Stack
from tests.engines.broker import NEVER_IDLE_S, until

LIVE = {
    *("driftline_lag_records", "driftline_partition_time_seconds", "driftline_watermark_delay_seconds"),
    *("driftline_records_total", "driftline_samples_total", "driftline_open_buckets", "driftline_series"),
    *("driftline_state_bytes", "driftline_sink_rows_total", "driftline_sink_milliseconds"),
    *("accepted", "refused", "late", "duplicate"),
}


@pytest.fixture
def flink(stack: Stack) -> Iterator[Flink]:
    """A test that failed leaves no job behind to hold the slots that the next one needs."""
    stack.up(*PARTS["flink"])
    cluster = Flink(stack.flink_rest)
    yield cluster
    for job in running(cluster):
        cluster.cancel(job)


def running(flink: Flink) -> list[str]:
    """Ids of jobs that are not over."""
    jobs = flink._ask("GET", "/jobs/overview")["jobs"]
    return [job["jid"] for job in jobs if job["state"] in ("RUNNING", "RESTARTING", "CREATED")]


def test_a_job_is_watched_loses_a_worker_and_goes_on_from_a_savepoint(
    stack: Stack, flink: Flink, records: Sequence[Record], wanted: Outcome, tmp_path: Path
) -> None:
    place = Place(stack, "flink", "flink_worker", records, tmp_path / "run", idle_s=NEVER_IDLE_S)
    thirds = [records[len(records) * n // 3 : len(records) * (n + 1) // 3] for n in range(3)]
    midway = thirds[1][len(thirds[1]) // 2].time_ms
    try:
        place.start()
        place.feed(thirds[0], 1.0).done()
        until(lambda: told(flink) >= LIVE, "meters in Flink's REST interface")
        feed = place.feed(thirds[1], 4.0)
        until(lambda: feed.time_ms >= midway, "half of what is sent")
        os.kill(until(lambda: worker(stack), "a worker of the pool"), signal.SIGKILL)
        feed.done()
        place.wait_until(lambda: place.reached() > midway, "a bucket from after the kill")
        savepoint = place.stop()
        if shutil.which("javac"):  # without it Beam's own class gives every bundle's end a name
            assert bundles_ends(savepoint[0].partition("=file:")[2]) <= set("01234567")
        assert running(flink) == []
        place.feed(thirds[2], 0.0).done()
        place.start(*savepoint, until_end=True)
        found = of_kafka(stack.kafka, place.url, sorted(place.partitions), place.end()["accounts"])
        assert differences(found, wanted) == []
        assert found.counts == wanted.counts
        assert place.lag() == {}
    finally:
        place.close()


def bundles_ends(savepoint: str) -> set[str]:
    """Names under which Flink ever kept what readers had left to do, without those of their handlers."""
    content = b"".join(file.read_bytes() for file in Path(savepoint).rglob("*") if file.is_file())
    names = set(re.findall(rb"sdf_checkpoint:([-:\w]+)", content))
    return {name.decode().rpartition(":")[2] if len(name) > 36 else name.decode() for name in names}


def told(flink: Flink) -> set[str]:
    """Names of the meters that Flink shows of its jobs now; of samples, with what became of them."""
    found: set[str] = set()
    with suppress(EngineError):  # a vertex that is just made, or a JobManager that is busy
        for job in running(flink):
            for vertex in flink._ask("GET", f"/jobs/{job}")["vertices"]:
                for metric in flink._ask("GET", f"/jobs/{job}/vertices/{vertex['id']}/metrics"):
                    found.update(re.findall(r"driftline_(driftline_\w+)", metric["id"]))
                    found.update(re.findall(r'outcome="(\w+)"', metric["id"]))
    return found


def worker(stack: Stack) -> int | None:
    """A Python worker of the pool, if one runs just now: forked by what the pool has started for that."""
    pool = next(one.pid for one in stack.status() if one.name == "worker-pool-0")
    with suppress(psutil.NoSuchProcess):
        for forks in psutil.Process(pool).children():
            for forked in forks.children():
                return int(forked.pid)
    return None
