from hypothesis import given
from hypothesis import strategies as st

from operators.shard.routing import FLOW_SIGNALS, shard_of

NAMES = st.none() | st.text(min_size=1, max_size=10)


@given(NAMES, NAMES, st.text(min_size=1, max_size=20), st.integers(1, 4096))
def test_shards_are_in_range_and_stable(
    service: str | None, model: str | None, signal: str, shards: int
) -> None:
    shard = shard_of(service, model, signal, shards)
    assert 0 <= shard < shards
    assert shard_of.__wrapped__(service, model, signal, shards) == shard


def test_the_hash_is_the_same_on_every_machine() -> None:
    assert shard_of("chat-api", "llama-70b", "gen_ai.server.queue_time", 4096) == 2350


@given(NAMES, NAMES, NAMES)
def test_what_explains_an_absence_meets_in_one_shard(
    service: str | None, one: str | None, other: str | None
) -> None:
    homes = {shard_of(service, model, signal, 64) for signal in FLOW_SIGNALS for model in (one, other)}
    assert len(homes) == 1
