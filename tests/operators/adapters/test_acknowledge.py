"""Only what every shard has closed and the sinks have flushed may be committed."""

from hypothesis import given
from hypothesis import strategies as st

from operators.adapters.acknowledge import Acknowledgements


def test_nothing_is_safe_before_every_shard_has_flushed_it() -> None:
    acknowledged = Acknowledgements(2)
    acknowledged.read("p", 10, 1000)
    acknowledged.flushed(0, 2000)
    assert acknowledged.positions() == {}
    acknowledged.flushed(1, 1000)
    assert acknowledged.positions() == {}  # the bucket at 1000 is still open there
    acknowledged.flushed(1, 2000)
    assert acknowledged.positions() == {"p": 10}


def test_a_delivery_that_reaches_into_no_bucket_waits_for_the_one_before() -> None:
    acknowledged = Acknowledgements(1)
    acknowledged.read("p", 10, 1000)
    acknowledged.read("p", 20, None)
    assert acknowledged.positions() == {}
    acknowledged.flushed(0, 1001)
    assert acknowledged.positions() == {"p": 20}


def test_at_the_end_of_the_input_all_that_was_read_is_done_with() -> None:
    acknowledged = Acknowledgements(2)
    acknowledged.read("p", 10, 1000)
    acknowledged.read("p", 20, 2000)  # in a window that no time has passed
    acknowledged.read("q", 5, None)
    acknowledged.flushed(0, 1500)
    acknowledged.finished()
    assert acknowledged.positions() == {"p": 20, "q": 5}


@given(
    reads=st.lists(st.tuples(st.sampled_from("pq"), st.none() | st.integers(0, 50)), max_size=30),
    flushes=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 60)), max_size=10),
)
def test_positions_never_pass_an_open_bucket(
    reads: list[tuple[str, int | None]], flushes: list[tuple[int, int]]
) -> None:
    acknowledged = Acknowledgements(2)
    offsets: dict[str, list[tuple[int, int | None]]] = {"p": [], "q": []}
    for number, (partition, bucket) in enumerate(reads):
        acknowledged.read(partition, number, bucket)
        offsets[partition].append((number, bucket))
    done = [None, None]
    for shard, reached in flushes:
        acknowledged.flushed(shard, reached)
        done[shard] = max(reached, done[shard] or 0)  # type: ignore[call-overload]
    through = min(done) if None not in done else None  # type: ignore[type-var]
    for partition, position in acknowledged.positions().items():
        for number, bucket in offsets[partition]:
            if number <= position and bucket is not None:
                assert through is not None
                assert bucket < through
