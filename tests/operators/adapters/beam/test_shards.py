"""The shard behind Beam's state: whatever is lost from memory, what comes out is the same."""

from collections.abc import Iterable, Iterator

import pytest

from operators.adapters.beam import shards as module
from operators.adapters.beam.codec import (
    Handout,
    Packet,
    Parcel,
    decode_handout,
    decode_packet,
    encode_handout,
    packets,
)
from operators.adapters.beam.process import forget, process
from operators.adapters.beam.shards import ShardDoFn
from operators.adapters.beam.totals import Totals
from operators.adapters.drive import drive
from operators.adapters.figures import OUTPUTS
from operators.adapters.reader import Reader
from operators.emission import Emission
from operators.message import Message
from operators.settings import Settings
from operators.shard import Shard
from operators.state import StateError
from schemas.rows import Count
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
        self.stamp, self.snapshot, self.totals, self.log = Cell(), Cell(), Cell(), Bag()

    def copy(self) -> "State":
        other = State()
        for name in ("stamp", "snapshot", "totals"):
            getattr(other, name).value = getattr(self, name).value
        other.log.values = list(self.log.values)
        return other


def recorded() -> list[Message]:
    values = [request(START_MS + second * 1000, second, replica=f"r{second % 3}") for second in range(1500)]
    reader = Reader(MemorySource({TOPIC: values}, most=50), SETTINGS, until_end=True)
    steps = [step for tick in range(100) for step in reader.step(tick / 1000)]
    return [step.delivery.messages[0] for step in steps]


def fed(dofn: ShardDoFn, state: State, message: Message) -> Iterator[Handout]:
    """What comes of one message that brought one accepted sample."""
    counts = [Count("telemetry.requests.v1", "accepted", "", 1)]
    element = (0, packets(Parcel({0: [message]}, [], counts))[0])
    return map(decode_handout, dofn.process(element, state.stamp, state.snapshot, state.totals, state.log))


def emitted(handouts: Iterable[Handout]) -> list[Emission]:
    return [handout.emission for handout in handouts if handout.totals is None]


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
        if number % 5 != 1:
            forget("job")
        found += emitted(fed(ShardDoFn(SETTINGS, "job", {}), state, message))
    assert found == expected


def test_a_bundle_that_failed_leaves_nothing_behind(
    messages: list[Message], expected: list[Emission]
) -> None:
    forget("job")
    dofn, state, found = ShardDoFn(SETTINGS, "job", {}), State(), []
    for number, message in enumerate(messages):
        if number % 3 == 0:  # processed, then lost: Beam's state stays as it was
            lost = state.copy()
            list(fed(dofn, lost, message))
        if number % 4 == 0:  # broken off half-way
            lost = state.copy()
            next(fed(dofn, lost, message), None)
        found += emitted(fed(dofn, state, message))
    assert found == expected


def test_the_log_is_folded_into_the_snapshot_once_it_outgrows_it(
    messages: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIN_LOG_BYTES", 1)
    forget("job")
    dofn, state, snapshots = ShardDoFn(SETTINGS, "job", {}), State(), set()
    for message in messages:
        list(fed(dofn, state, message))
        snapshots.add(state.snapshot.value)
        assert sum(map(len, state.log.values)) <= max(1, len(state.snapshot.value or b""))
    assert 1 < len(snapshots) < len(messages)


def test_how_far_a_shard_is_travels_with_its_emissions(messages: list[Message]) -> None:
    forget("job")
    dofn, state = ShardDoFn(SETTINGS, "job", {}), State()
    reached: list[int] = []
    for message in messages:
        reached += [told.done_to for told in fed(dofn, state, message) if told.done_to is not None]
    assert reached == sorted(set(reached))
    assert process("job").shards[0].done_to == reached[-1]


def test_totals_count_every_message_once_whatever_is_lost(
    messages: list[Message], expected: list[Emission], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LOG_COUNT", 9)
    forget("job")
    state, told = State(), []
    for number, message in enumerate(messages):
        if number % 4 == 0:
            list(fed(ShardDoFn(SETTINGS, "job", {}), state.copy(), message))
        if number % 3 == 0:
            forget("job")
        told += [each.totals for each in fed(ShardDoFn(SETTINGS, "job", {}), state, message) if each.totals]
    assert [totals.position for totals in told] == sorted({totals.position for totals in told})
    counts = told[-1].counts
    assert counts["telemetry.requests.v1", "accepted", ""] == len(messages)
    assert counts[OUTPUTS, "windows", ""] == sum(len(emission.windows) for emission in expected)
    assert counts[OUTPUTS, "finished", ""] == 1


def test_a_resumed_run_closes_the_accounts_of_the_one_before(
    messages: list[Message],
) -> None:
    state, half = State(), len(messages) // 2
    forget("first")
    forget("second")
    for message in messages[:half]:
        list(fed(ShardDoFn(SETTINGS, "first", {}), state, message))
    told: list[Totals] = []
    for message in messages[half:]:
        told += [
            each.totals for each in fed(ShardDoFn(SETTINGS, "second", {}), state, message) if each.totals
        ]
    last = {totals.run_id: totals for totals in told}
    accepted = {run: totals.counts["telemetry.requests.v1", "accepted", ""] for run, totals in last.items()}
    assert accepted == {"first": half, "second": len(messages) - half}
    assert [totals.run_id for totals in told].count("first") == 1


def test_state_of_another_layout_is_refused(messages: list[Message]) -> None:
    state = State()
    forget("job")
    list(fed(ShardDoFn(SETTINGS, "job", {}), state, messages[0]))
    state.stamp.value = b"\x09" + (state.stamp.value or b"")[1:]
    with pytest.raises(StateError, match=r"layout 9.*reads 1.*resume with the version that wrote it"):
        list(fed(ShardDoFn(SETTINGS, "job", {}), state, messages[1]))


def test_a_handout_survives_its_bytes(expected: list[Emission]) -> None:
    assert expected
    totals = Totals({("topic", "accepted", ""): 3}, run_id="run", shard=0, position=7)
    for emission in expected:
        handout = Handout(emission, 5, totals)
        assert decode_handout(encode_handout(handout)) == handout


def test_accounts_go_to_shard_0_alone(messages: list[Message]) -> None:
    counts = [Count("topic", "accepted", "", 3)]
    found = packets(Parcel({1: messages[:1]}, [], counts))
    assert {shard: decode_packet(data) for shard, data in found.items()} == {
        0: Packet([], counts),
        1: Packet(messages[:1]),
    }
