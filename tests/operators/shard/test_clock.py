from hypothesis import given
from hypothesis import strategies as st

from operators.message import Message, PartitionState
from operators.shard.clock import Clock


def message(
    partition: str, after: int, offset: int, time: int | None, state: PartitionState = "active"
) -> Message:
    return Message(
        partition=partition, after=after, offset=offset, time_ms=time, state=state, partitions=("t/0", "t/1")
    )


@given(st.permutations(list(range(6))), st.lists(st.integers(0, 5), max_size=6))
def test_a_chain_is_heard_once_and_in_order(order: list[int], again: list[int]) -> None:
    clock, chain = Clock(), [message("t/0", n - 1, n, n) for n in range(6)]
    heard = [m.offset for n in [*order, *again] for m in clock.admit(chain[n])]
    assert heard == list(range(6))


def test_there_is_no_time_until_every_partition_was_heard() -> None:
    clock = Clock()
    clock.admit(message("t/0", -1, 0, 100))
    assert clock.read() is None
    clock.admit(message("t/1", -1, 0, 40))
    assert clock.read() == 40


def test_idle_and_exhausted_partitions_hold_nothing_back() -> None:
    clock = Clock()
    clock.admit(message("t/0", -1, 0, 100))
    clock.admit(message("t/1", -1, 0, 40))
    clock.admit(message("t/1", 0, 1, 40, "idle"))
    assert clock.read() == 100
    clock.admit(message("t/0", 0, 1, 500, "exhausted"))
    assert clock.read() == 100, "when none is left it stands"


def test_time_never_falls_when_a_slow_partition_returns() -> None:
    clock = Clock()
    clock.admit(message("t/0", -1, 0, 100))
    clock.admit(message("t/1", -1, 0, 40, "idle"))
    assert clock.read() == 100
    clock.admit(message("t/1", 0, 1, 60))
    assert clock.read() == 100


def test_changes_take_no_part_in_time() -> None:
    clock = Clock()
    clock.admit(message("t/0", -1, 0, 100))
    clock.admit(message("t/1", -1, 0, 90))
    clock.admit(
        Message(partition="changes.v1/0", after=-1, offset=3, time_ms=None, partitions=("changes.v1/0",))
    )
    assert clock.read() == 90


def test_a_restored_clock_still_holds_overtakers() -> None:
    clock = Clock()
    clock.admit(message("t/0", 3, 4, 9))
    restored = Clock.restore(clock.snapshot())
    heard = [m.offset for m in restored.admit(message("t/0", -1, 3, 5))]
    assert heard == [3, 4]
