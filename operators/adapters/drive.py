"""One message into one shard, on any engine: receive, and finish once every partition has come to its end."""

from operators.emission import Emission
from operators.message import Message
from operators.shard import Shard


def drive(shard: Shard, message: Message) -> list[Emission]:
    """What the shard hands out for this message; the one that ends the last partition also finishes it."""
    before = shard.clock.exhausted
    emissions = [shard.receive(message)]
    if shard.clock.exhausted and not before:
        emissions.append(shard.finish())
    return [emission for emission in emissions if not is_empty(emission)]


def is_empty(emission: Emission) -> bool:
    """Whether there is nothing in it to write or count."""
    return emission.first_ms is None and not (
        emission.events or emission.changes or emission.edges or emission.late
    )


def done_to(shard: Shard) -> int | None:
    """Unix ms below which nothing is open any more: what was in there has been handed out."""
    return None if shard.closed_to is None else shard.closed_to // shard.window_ms * shard.window_ms


def series_of(shard: Shard) -> int:
    """Series the shard knows."""
    return len(shard.evaluation.bank.keys)
