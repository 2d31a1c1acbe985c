"""The shard behind Beam's state: whatever is lost from memory, what comes out is the same."""

from collections.abc import Iterable

import pytest

from operators.adapters.beam import shards as module
from operators.adapters.beam.codec import decode_emission, encode_emission, encode_messages
from operators.adapters.beam.process import forget, process
from operators.adapters.beam.shards import ShardDoFn
from operators.adapters.drive import drive
from operators.adapters.reader import Reader
from operators.emission import Emission
from operators.message import Message
from operators.settings import Settings
from operators.shard import Shard
from tests.operators.adapters.memory import START_MS, MemorySource, request

SETTINGS = Settings(shards=1)
TOPIC = "telemetry.requests.v1/0"


class Cell:
    """Beam's read-modify-write state, as far as the DoFn uses it."""

    def __init__(self) -> None:
        self.value: bytes | None = None

    def read(self) -> bytes | None:
        return self.value

    def write(self, value: bytes) -> None:
        self.value = value


class Bag:
    """Beam's bag state."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def read(self) -> Iterable[bytes]:
        return list(self.values)

    def add(self, value: bytes) -> None:
        self.values.append(value)

    def clear(self) -> None:
        self.values = []


class State:
    """What a runner keeps of one key."""

    def __init__(self) -> None:
        self.stamp, self.snapshot, self.log = Cell(), Cell(), Bag()

    def copy(self) -> "State":
        other = State()
        other.stamp.value, other.snapshot.value = self.stamp.value, self.snapshot.value
        other.log.values = list(self.log.values)
        return other


def recorded() -> list[Message]:
    values = [request(START_MS + second * 1000, second, replica=f"r{second % 3}") for second in range(1500)]
    reader = Reader(MemorySource({TOPIC: values}, most=50), SETTINGS, until_end=True)
    steps = [step for tick in range(100) for step in reader.step(tick / 1000)]
    return [step.delivery.messages[0] for step in steps]


def emitted(data: Iterable[bytes]) -> list[Emission]:
    return [emission for emission, done_to in map(decode_emission, data) if done_to is None]


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return recorded()


@pytest.fixture(scope="module")
def expected(messages: list[Message]) -> list[Emission]:
    shard = Shard(0, SETTINGS)
    return [emission for message in messages for emission in drive(shard, message)]


@pytest.mark.parametrize("log_count", [1, 7, 100])
def test_a_shard_lost_from_memory_at_every_message_is_restored(
    messages: list[Message], expected: list[Emission], log_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LOG_COUNT", log_count)
    state, found = State(), []
    for number, message in enumerate(messages):
        job = f"job-{number % 2}" if number % 5 == 0 else "job"
        forget(job)
        element = (0, encode_messages([message]))
        found += emitted(ShardDoFn(SETTINGS, job).process(element, state.stamp, state.snapshot, state.log))
    assert found == expected


def test_a_bundle_that_failed_leaves_nothing_behind(
    messages: list[Message], expected: list[Emission]
) -> None:
    forget("job")
    dofn, state, found = ShardDoFn(SETTINGS, "job"), State(), []
    for number, message in enumerate(messages):
        element = (0, encode_messages([message]))
        if number % 3 == 0:  # processed, then lost: Beam's state stays as it was
            lost = state.copy()
            list(dofn.process(element, lost.stamp, lost.snapshot, lost.log))
        if number % 4 == 0:  # broken off half-way
            lost = state.copy()
            next(iter(dofn.process(element, lost.stamp, lost.snapshot, lost.log)), None)
        found += emitted(dofn.process(element, state.stamp, state.snapshot, state.log))
    assert found == expected


def test_the_log_is_folded_into_the_snapshot_once_it_outgrows_it(
    messages: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIN_LOG_BYTES", 1)
    forget("job")
    dofn, state, snapshots = ShardDoFn(SETTINGS, "job"), State(), set()
    for message in messages:
        element = (0, encode_messages([message]))
        list(dofn.process(element, state.stamp, state.snapshot, state.log))
        snapshots.add(state.snapshot.value)
        assert sum(map(len, state.log.values)) <= max(1, len(state.snapshot.value or b""))
    assert 1 < len(snapshots) < len(messages)


def test_how_far_a_shard_is_travels_with_its_emissions(messages: list[Message]) -> None:
    forget("job")
    dofn, state = ShardDoFn(SETTINGS, "job"), State()
    reached: list[int] = []
    for message in messages:
        element = (0, encode_messages([message]))
        out = list(dofn.process(element, state.stamp, state.snapshot, state.log))
        reached += [done_to for _, done_to in map(decode_emission, out) if done_to is not None]
    assert reached == sorted(set(reached))
    assert process("job").shards[0].done_to == reached[-1]


def test_an_emission_survives_its_bytes(expected: list[Emission]) -> None:
    assert expected
    for emission in expected:
        assert decode_emission(encode_emission(emission, 5)) == (emission, 5)
