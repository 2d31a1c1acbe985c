"""Beam on a real Flink cluster, whatever is killed: the same events and accounts as the in-process loop."""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.reliability.outcome import Outcome, differences, of_kafka
from benchmarks.reliability.place import PARTS, Feed, Place
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


def test_nothing_is_lost_or_doubled_when_processes_are_killed_and_the_job_is_stopped_and_resumed(
    stack: Stack, flink: Flink, records: Sequence[Record], wanted: Outcome, tmp_path: Path
) -> None:
    place = Place(stack, "flink", "flink_faults", records, tmp_path / "run", idle_s=NEVER_IDLE_S)
    quarters = [records[len(records) * n // 4 : len(records) * (n + 1) // 4] for n in range(4)]

    def send_and(kill: Callable[[], object]) -> None:
        """Send the next quarter over some seconds, kill midway, and wait for what came after."""
        quarter = quarters.pop(0)
        feed = Feed(stack.kafka, quarter, over_s=4.0)
        feed.start()
        midway = quarter[len(quarter) // 2].time_ms
        until(lambda: feed.time_ms >= midway, "half of the quarter")
        kill()
        feed.done()
        place.wait_until(lambda: place.reached() > midway, "a bucket from after the kill")

    def end_the_job_server_and_a_worker() -> None:
        stack.kill("job-server")
        os.kill(until(lambda: worker(stack), "a worker of the pool"), signal.SIGKILL)

    try:
        place.start()
        send_and(lambda: until(lambda: told(flink) >= LIVE, "meters in Flink's REST interface"))
        send_and(lambda: (stack.kill("taskmanager-0"), stack.start("taskmanager-0")))
        send_and(end_the_job_server_and_a_worker)
        savepoint = place.stop()
        if shutil.which("javac"):  # without it Beam's own class gives every bundle's end a name
            assert bundles_ends(savepoint[0].partition("=file:")[2]) <= set("01234567")
        stack.start("job-server")
        assert running(flink) == []
        feed = Feed(stack.kafka, quarters.pop(), over_s=0.0)
        feed.start()
        feed.done()
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
    """A Python worker of the pool, if one runs just now."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"pipelines.stack.boot" in command and str(stack.folder).encode() in environment:
                return int(entry.name)
    return None
