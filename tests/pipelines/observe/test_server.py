"""Metrics, health and readiness over real HTTP."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from operators import meters as of
from operators.adapters.reader import Reader
from operators.meters import UNMETERED
from operators.outage import BROKERS, wait_out
from operators.settings import Settings
from operators.store_errors import SinkAway, StoreAway
from pipelines.errors import UsageError
from pipelines.observe import Health, Recorder, observed, serve
from pipelines.observe.health import HANGS_AFTER_S
from tests.operators.adapters.memory import START_MS, MemorySource, request

TOPIC = "telemetry.requests.v1"
PARTITION = f"{TOPIC}/0"


def get(url: str, accept: str = "*/*") -> tuple[int, str]:
    asked = urllib.request.Request(url, headers={"Accept": accept})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode()


class Watched:
    """A recorder that is served, at a time that the test sets."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.stop = threading.Event()
        self.ahead_s = 0.0
        self.url = ""

    def time(self) -> float:
        return time.time() + self.ahead_s

    def ready(self) -> tuple[int, str]:
        status, body = get(f"{self.url}/readyz")
        return status, json.loads(body)["state"]

    def alive(self) -> int:
        return get(f"{self.url}/healthz")[0]

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """Values by labels, in the order of the labels' names."""
        families = text_string_to_metric_families(get(f"{self.url}/metrics")[1])
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
            if sample.name == name
        }


@pytest.fixture
def watched() -> Iterator[Watched]:
    it = Watched()
    with serve("127.0.0.1:0", it.recorder, Health(it.recorder, it.stop, it.time)) as it.url:
        yield it


def reader(source: MemorySource, watched: Watched) -> Reader:
    return Reader(source, Settings(), until_end=False, meters=watched.recorder)


def values(seconds: range) -> list[bytes]:
    return [request(START_MS + second * 1000) for second in seconds]


def test_readiness_follows_the_input(watched: Watched) -> None:
    assert watched.ready() == (503, "starting")
    source = MemorySource({PARTITION: values(range(5))})
    reading = reader(source, watched)
    reading.step(0.0)
    assert watched.ready() == (200, "running")
    for tick in range(1, 100):
        reading.step(float(tick))
    assert watched.ready() == (200, "no_data")
    assert watched.samples("driftline_no_data_seconds")[()] > Settings().windows.idle_s
    assert watched.samples("driftline_state")["no_data",] == 1
    source.values[PARTITION] += values(range(5, 8))
    for tick in (101.0, 103.0):
        reading.step(tick)
    assert watched.ready() == (200, "running")
    assert watched.samples("driftline_no_data_seconds")[()] == 0


def test_readiness_ends_while_the_source_is_away(watched: Watched) -> None:
    source = MemorySource({PARTITION: values(range(5))})
    reading = reader(source, watched)
    reading.step(0.0)
    assert watched.samples("driftline_lag_records") == {(PARTITION, TOPIC): 0}
    source.answers = False
    reading.step(2.0)
    assert watched.ready() == (503, "source_away")
    assert watched.samples("driftline_lag_records") == {}
    source.answers = True
    reading.step(4.0)
    assert watched.ready() == (200, "running")


def test_readiness_ends_while_the_store_is_away(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.outage.PAUSE_S", 0.0)
    reader(MemorySource({PARTITION: values(range(5))}), watched).step(0.0)
    seen: list[tuple[int, str]] = []

    def insert() -> None:
        seen.append(watched.ready())
        if len(seen) < 3:
            raise StoreAway("refused")

    wait_out(insert, watched.stop, "5 rows", watched.recorder)
    assert seen == [(200, "running"), (503, "store_away"), (503, "store_away")]
    assert watched.ready() == (200, "running")


def test_readiness_ends_while_the_output_is_away(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.outage.PAUSE_S", 0.0)
    reader(MemorySource({PARTITION: values(range(5))}), watched).step(0.0)
    watched.recorder.set(of.TURN, watched.time() - 2 * HANGS_AFTER_S, "reading")  # which stands meanwhile
    seen: list[tuple[tuple[int, str], int]] = []

    def publish() -> None:
        seen.append((watched.ready(), watched.alive()))
        if len(seen) < 3:
            raise SinkAway("silent")

    wait_out(publish, watched.stop, "5 records", watched.recorder, BROKERS)
    assert seen == [((200, "running"), 503), *[((503, "sink_away"), 200)] * 2]
    assert watched.ready() == (200, "running")


def test_a_run_that_is_to_end_is_not_ready(watched: Watched) -> None:
    reader(MemorySource({PARTITION: values(range(5))}), watched).step(0.0)
    watched.stop.set()
    assert watched.ready() == (503, "stopped")


def test_a_loop_that_hangs_is_not_alive(watched: Watched) -> None:
    assert watched.alive() == 200
    reading = reader(MemorySource({PARTITION: values(range(5))}), watched)
    reading.step(0.0)
    assert watched.alive() == 200
    watched.ahead_s = HANGS_AFTER_S + 5
    assert watched.alive() == 503
    watched.recorder.set(of.TURN, watched.time(), "reading")
    assert watched.alive() == 200
    watched.recorder.set(of.TURN, watched.time() - HANGS_AFTER_S - 5, "detecting")
    assert watched.alive() == 503
    watched.stop.set()
    assert watched.alive() == 200


def test_who_waits_for_the_store_is_alive(watched: Watched) -> None:
    now = watched.time()
    watched.recorder.set(of.TURN, now - 2 * HANGS_AFTER_S, "reading")
    watched.recorder.set(of.STORE_AWAY, 2 * HANGS_AFTER_S)
    watched.recorder.set(of.TURN, now, "storing")
    assert watched.alive() == 200
    watched.ahead_s = HANGS_AFTER_S + 5
    assert watched.alive() == 503


def test_what_a_reader_does_can_be_scraped(watched: Watched) -> None:
    source = MemorySource({PARTITION: [*values(range(5)), b"{broken", *values(range(5, 45))]}, most=10)
    reading = reader(source, watched)
    for tick in range(3):
        reading.step(float(tick))
    assert watched.samples("driftline_records_total") == {(TOPIC,): 30}
    assert watched.samples("driftline_samples_total") == {
        ("accepted", "", TOPIC): 29,
        ("refused", "not_json", TOPIC): 1,
    }
    assert watched.samples("driftline_batch_records_count") == {(TOPIC,): 3}
    assert watched.samples("driftline_lag_records") == {(PARTITION, TOPIC): 16}
    assert watched.samples("driftline_partition_time_seconds") == {(PARTITION, TOPIC): START_MS // 1000 + 28}
    delay = watched.samples("driftline_watermark_delay_seconds")[()]
    reached = START_MS // 1000 + 28 - Settings().windows.lateness_s
    assert delay == pytest.approx(watched.time() - reached, abs=60)
    assert watched.samples("driftline_partitions") == {("active",): 1, ("idle",): 0, ("exhausted",): 0}


def test_openmetrics_is_spoken_too(watched: Watched) -> None:
    status, text = get(f"{watched.url}/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert status == 200
    assert {name.removesuffix("_total") for name in of.METERS} <= {f.name for f in open_families(text)}


def test_other_paths_say_what_there_is(watched: Watched) -> None:
    status, body = get(f"{watched.url}/")
    assert status == 404
    assert "/metrics" in body


def test_without_an_address_nothing_is_recorded() -> None:
    with observed(None, threading.Event()) as meters:
        assert meters is UNMETERED


def test_an_address_that_is_taken_is_wrong_use(watched: Watched) -> None:
    taken = watched.url.removeprefix("http://")
    with pytest.raises(UsageError, match=f"observe: {taken}"), observed(taken, threading.Event()):
        pass
