"""A producer whose clock is wrong for minutes wakes somebody; a replay, which is soon over, does not."""

from operators.lifecycle import Lifecycle
from operators.message import ProducerFault
from operators.settings import LifecycleSettings
from operators.shard.faults import fault_findings

MINUTE = 60_000


def fault(minute: int, *, wide: bool = False) -> ProducerFault:
    return ProducerFault(
        topic="telemetry.requests.v1",
        partition="telemetry.requests.v1/0",
        producer="chat-1",
        field="producer",
        minute_ms=minute * MINUTE,
        samples=50,
        late=0,
        ahead=50,
        skew_s=90.0,
        partition_wide=wide,
    )


def paged(minutes: int, *, wide: bool = False) -> int | None:
    """The minute in which a fault of so many minutes pages."""
    lifecycle = Lifecycle(LifecycleSettings(), 0, "hash")
    for minute in range(minutes + 10):
        faults = [fault(minute, wide=wide)] if minute < minutes else []
        found = fault_findings(faults, lifecycle.episodes)
        start = minute * MINUTE
        for event in lifecycle.step(start, start + MINUTE, found, lambda *_: ())[0]:
            if event.paged_at is not None:
                return minute
    return None


def test_a_wrong_clock_pages_once_it_has_lasted() -> None:
    assert paged(30) == 4


def test_a_replay_that_is_soon_over_wakes_nobody() -> None:
    assert paged(4) is None


def test_what_is_off_for_most_of_a_partition_is_no_producers_clock() -> None:
    assert paged(30, wide=True) is None
