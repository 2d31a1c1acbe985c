"""The reader: partitions in step, idle and exhausted ones leave, and a restored reader goes on the same."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.adapters.reader import AHEAD_MS, Reader, Step
from operators.message import Message
from operators.settings import Settings
from tests.operators.adapters.memory import START_MS, MemorySource, request

SETTINGS = Settings(shards=2)
A, B = "telemetry.requests.v1/0", "telemetry.requests.v1/1"


def times(seconds: range, **fields: object) -> list[bytes]:
    return [request(START_MS + second * 1000, **fields) for second in seconds]


def to_end(reader: Reader) -> list[Step]:
    steps: list[Step] = []
    for tick in range(10_000):
        if reader.finished:
            return steps
        steps += reader.step(float(tick) / 1000)
    raise AssertionError("never finished")


def messages(steps: list[Step]) -> list[Message]:
    return [message for step in steps for message in step.delivery.messages.values()]


def test_the_lowest_partition_is_read_next() -> None:
    source = MemorySource({A: times(range(3600)), B: times(range(0, 3600, 60))}, most=10)
    reader = Reader(source, SETTINGS, until_end=True)
    apart = []
    for tick in range(2000):
        reader.step(tick / 1000)
        clocks = [lane.time_ms for lane in reader._lanes.values() if lane.active and lane.time_ms]
        apart.append(max(clocks, default=0) - min(clocks, default=0))
        if reader.finished:
            break
    assert reader.finished
    # a partition is ahead of the other by at most the limit and one poll of its own
    assert max(apart) <= AHEAD_MS + 10 * 60_000


def test_every_sample_is_accounted_for_and_every_partition_ends() -> None:
    source = MemorySource({A: times(range(100)), B: [*times(range(50)), b"{broken"]})
    steps = to_end(Reader(source, SETTINGS, until_end=True))
    assert sum(step.delivery.accounts.received.total() for step in steps) == 151
    last = {message.partition: message.state for message in messages(steps)}
    assert last == {A: "exhausted", B: "exhausted"}
    assert all(message.partitions == (A, B) for message in messages(steps))


def test_without_an_end_nothing_is_ever_exhausted() -> None:
    reader = Reader(MemorySource({A: times(range(5))}), SETTINGS, until_end=False)
    steps = [step for tick in range(20) for step in reader.step(float(tick))]
    assert not reader.finished
    assert {message.state for message in messages(steps)} == {"active"}


def test_without_any_partition_a_step_waits_for_as_long_as_it_may() -> None:
    reader = Reader(MemorySource({}), SETTINGS, until_end=False)
    before = time.monotonic()
    assert reader.step(0.0, timeout_s=0.02) == []
    assert time.monotonic() - before >= 0.02


def test_a_quiet_partition_goes_idle_and_comes_back() -> None:
    source = MemorySource({A: times(range(5))})
    reader = Reader(source, SETTINGS, until_end=False)
    reader.step(0.0)
    states = [message.state for tick in range(1, 120) for message in messages(reader.step(float(tick)))]
    assert set(states) == {"idle"}
    assert len(states) == SETTINGS.shards
    assert reader.quiet_s > SETTINGS.windows.idle_s
    source.values[A] += times(range(10, 12))
    assert {message.state for message in messages(reader.step(121.0))} == {"active"}
    assert reader.quiet_s == 0


def test_when_everything_stops_the_pipeline_says_no_data(caplog: pytest.LogCaptureFixture) -> None:
    source = MemorySource({A: times(range(5)), B: times(range(5))})
    reader = Reader(source, SETTINGS, until_end=False)
    for tick in range(100):
        reader.step(float(tick))
    assert caplog.text.count("no_data") == 1
    source.values[B] += times(range(10, 12))
    reader.step(101.0)
    assert "telemetry comes again" in caplog.text
    assert reader.no_data_s > SETTINGS.windows.idle_s


def test_a_broker_that_does_not_answer_makes_nothing_idle() -> None:
    source = MemorySource({A: times(range(5))})
    reader = Reader(source, SETTINGS, until_end=False)
    reader.step(0.0)
    source.answers = False
    assert [step for tick in range(1, 300) for step in reader.step(float(tick))] == []


def test_reading_that_does_not_raise_the_time_counts_as_quiet() -> None:
    source = MemorySource({A: [*times(range(1)), *[b"{broken"] * 1000]}, most=1)
    reader = Reader(source, SETTINGS, until_end=False)
    states = [message.state for tick in range(100) for message in messages(reader.step(float(tick)))]
    assert states[0] == "active"
    assert states[-1] == "idle"


def test_a_partition_that_appears_is_taken_in() -> None:
    source = MemorySource({A: times(range(5))})
    reader = Reader(source, SETTINGS, until_end=False)
    source.values[B] = times(range(5))
    reader.discover()
    steps = [step for tick in range(5) for step in reader.step(float(tick))]
    assert {step.partition for step in steps} == {A, B}
    assert all(message.partitions == (A, B) for message in messages(steps))


@pytest.fixture(scope="module")
def apart() -> dict[str, list[bytes]]:
    """Two partitions, one with late samples, of one and of several producers."""
    return {A: [*times(range(0, 120, 3)), *times(range(20, 40))], B: times(range(0, 90, 2), producer="p")}


@pytest.fixture(scope="module")
def whole(apart: dict[str, list[bytes]]) -> list[Message]:
    return messages(to_end(Reader(MemorySource(apart, most=3), SETTINGS, until_end=True)))


@settings(max_examples=15)
@given(stop=st.integers(0, 40))
def test_a_restored_reader_goes_on_as_if_never_stopped(
    apart: dict[str, list[bytes]], whole: list[Message], stop: int
) -> None:
    first = Reader(MemorySource(apart, most=3), SETTINGS, until_end=True)
    steps = [step for tick in range(stop) for step in first.step(tick / 1000)]
    data = first.snapshot()
    assert data == first.snapshot()
    second = Reader.restore(data, MemorySource(apart, most=3), SETTINGS, until_end=True)
    assert messages(steps + to_end(second)) == whole


def test_positions_are_the_next_offsets() -> None:
    reader = Reader(MemorySource({A: times(range(5)), B: []}), SETTINGS, until_end=True)
    to_end(reader)
    # of what nothing was read, the source may know a committed offset: 0 would undo it
    assert reader.positions == Reader.positions_of(reader.snapshot()) == {A: 5}


@pytest.mark.parametrize("changes", [1, 500])
def test_changes_hold_nothing_back(changes: int) -> None:
    change = b'{"event_time": 1, "change_id": "c", "change_type": "config", "service": "chat"}'
    source = MemorySource({"changes.v1/0": [change] * changes, A: times(range(600))})
    steps = to_end(Reader(source, SETTINGS, until_end=True))
    assert sum(len(message.changes) for message in messages(steps)) == changes * SETTINGS.shards


def test_a_restored_reader_reads_from_its_snapshot_not_from_what_was_committed_since() -> None:
    change = b'{"event_time": %d, "change_id": "c", "change_type": "config", "service": "chat"}' % START_MS
    changes = "changes.v1/0"
    reader = Reader(MemorySource({A: times(range(30)), changes: []}), SETTINGS, until_end=False)
    reader.step(0.0)
    later = MemorySource({A: times(range(30)), changes: [change]})
    later.seek({changes: 1})  # a runner may commit a bundle that it then gives up with its worker
    steps = to_end(Reader.restore(reader.snapshot(), later, SETTINGS, until_end=True))
    assert sum(step.delivery.accounts.accepted["changes.v1"] for step in steps) == 1
