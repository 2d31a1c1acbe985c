"""Parts of an emission: all of it, and the same however the windows were handed out."""

from dataclasses import replace

import pyarrow as pa

from operators.adapters.drive import drive
from operators.adapters.reader import Reader
from operators.emission import Emission, by_window
from operators.settings import Settings
from operators.shard import Shard
from tests.operators.adapters.memory import START_MS, MemorySource, request

SETTINGS = Settings(shards=1)
VALUES = {
    "telemetry.requests.v1/0": [
        request(START_MS + 500 * number, number, ttft_s=9.0 if number > 3000 else 0.2 + number % 9 / 100)
        for number in range(4500)
    ]
}


def emissions(most: int) -> list[Emission]:
    """What a shard hands out when polls give so many records."""
    shard = Shard(0, SETTINGS)
    reader = Reader(MemorySource(VALUES, most=most), SETTINGS, until_end=True)
    found = []
    while not reader.finished:
        for step in reader.step(0.0):
            found += drive(shard, step.delivery.messages[0])
    return found


def parts(most: int) -> list[Emission]:
    cut = [part for emission in emissions(most) for part in by_window(emission)]
    return [replace(part, first_ms=None, last_ms=None) for part in cut if not (part.edges or part.changes)]


def key(part: Emission) -> str:
    return repr((part.buckets and part.buckets.to_pydict(), part.windows, part.events))


def test_parts_do_not_depend_on_how_messages_were_cut() -> None:
    few, many = parts(2000), parts(70)
    assert len(emissions(2000)) < len(emissions(70))
    assert sorted(map(key, few)) == sorted(map(key, many))
    assert any(part.events for part in few)


def test_parts_are_all_of_it() -> None:
    for whole in emissions(2000):
        cut = list(by_window(whole))
        assert [event for part in cut for event in part.events] == sorted(
            whole.events, key=lambda event: event.updated_at
        )
        assert sum(len(part.windows) for part in cut) == len(whole.windows)
        tables = [part.buckets for part in cut if part.buckets is not None]
        assert (pa.concat_tables(tables) if tables else None) == whole.buckets
