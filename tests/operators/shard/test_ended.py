"""Slices that ended for good are let go with all that was kept of them, and nobody else notices."""

import pickle
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.emission import Emission
from operators.message import Message
from operators.settings import Settings, Slicing, Windows
from operators.shard import Shard
from operators.shard.ended import DAYS
from operators.state import unpack
from tests.operators.shard.stream import START, deliveries

DAY_MS = 86_400_000
#: A window is a day, so that weeks are soon over.
WINDOWS = Windows(bucket_s=3600, detect_s=86_400)
SETTINGS = Settings(shards=1, windows=WINDOWS)
Sample = dict[str, Any]


def days(
    count: int, there: Callable[[int], Sequence[str]], slow: Callable[[int, str], bool] = lambda _, __: False
) -> list[list[Sample]]:
    """A day of requests a batch: which replicas there are on a day, and which of them are slow then."""
    rng = np.random.default_rng(3)
    batches = []
    for day in range(count):
        names = there(day)
        batch: list[Sample] = []
        for number in range(40 * len(names)):
            replica = names[number % len(names)]
            factor = 8.0 if slow(day, replica) else 1.0
            batch.append(
                {
                    "event_time": START + day * DAY_MS + number * (DAY_MS // (40 * len(names))),
                    "service": "chat",
                    "request_model": "m",
                    "service_version": "v1",
                    "replica": replica,
                    "request_id": f"{day}-{number}",
                    "status": "ok",
                    "ttft_s": float(rng.lognormal(-1, 0.3)) * factor,
                }
            )
        batches.append(batch)
    return batches


def run(messages: Sequence[Message], config: Settings = SETTINGS) -> tuple[Shard, list[Emission]]:
    shard = Shard(0, config)
    return shard, [*(shard.receive(message) for message in messages), shard.finish()]


def told(emissions: Sequence[Emission]) -> list[str]:
    """All events, windows and bucket rows, without regard to the step that handed them out."""
    parts: list[Any] = []
    for emission in emissions:
        parts += msgspec.to_builtins([*emission.events, *emission.windows])
        parts += [] if emission.buckets is None else emission.buckets.to_pylist()
    return sorted(map(repr, parts))


def coming_and_going(day: int) -> list[str]:
    """Two that stay, and one that is replaced every other day."""
    return ["stays0", "stays1", f"pod{day // 2}"]


def sizes(shard: Shard) -> dict[str, int]:
    """How much is kept of series."""
    _, own, arrays = unpack("shard", frozenset({6}), shard.snapshot())
    return {
        "bases": len(own["evaluation"]["bases"]),
        "rows": arrays["bank.n"].shape[-1],
        "absence": len(arrays["absence.last"]),
        "names": sum(map(len, shard.evaluation.catalogue.names)),
        "slices": sum(len(level) for kept in own["kept"] for level in kept),
        "river's objects": len(pickle.loads(arrays["bank.page_hinkley/1"].tobytes())),
    }


def test_replicas_that_come_and_go_leave_nothing_behind() -> None:
    shard, kept = Shard(0, SETTINGS), {}
    for day, message in enumerate(deliveries(days(104, coming_and_going), SETTINGS)):
        shard.receive(message)
        if day in (85, 103):
            kept[day] = sizes(shard)
    # who stays is mature since day 60, and what it lends its newcomers is theirs since
    assert kept[103] == kept[85]
    assert len(kept[103]) == np.count_nonzero(list(kept[103].values()))
    state = repr(unpack("shard", frozenset({6}), shard.snapshot()).values)
    assert "pod51" in state
    assert "pod40" not in state


@cache
def weeks() -> list[Message]:
    """Replicas come and go; one that stays turns slow when the first have been let go."""
    slow = days(64, coming_and_going, lambda day, replica: replica == "stays1" and day >= 56)
    return list(deliveries(slow, SETTINGS))


@cache
def undisturbed() -> list[str]:
    """What is told of them."""
    return told(run(weeks())[1])


def test_nobody_else_notices() -> None:
    shard, emissions = run(weeks())
    hoarder = Shard(0, SETTINGS)
    hoarder._days.windows = 10**9
    all_kept = [*(hoarder.receive(message) for message in weeks()), hoarder.finish()]
    assert len(shard.evaluation.bank.keys) < len(hoarder.evaluation.bank.keys)

    def living(emissions: Sequence[Emission]) -> list[str]:
        return [one for one in told(emissions) if "pod" not in one]

    assert living(emissions) == living(all_kept)
    assert any("time_to_first_token" in one and "event_id" in one for one in living(emissions))


@settings(max_examples=4)
@given(st.integers(1, 63))
def test_a_snapshot_anywhere_goes_on_as_if_never_taken(cut: int) -> None:
    again, emissions = Shard(0, SETTINGS), []
    for place, message in enumerate(weeks()):
        if place == cut:
            again = Shard.restore(again.snapshot(), SETTINGS)
        emissions.append(again.receive(message))
    assert told([*emissions, again.finish()]) == undisturbed()


def test_it_is_let_go_at_a_windows_close_however_many_close_at_once() -> None:
    samples = days(64, coming_and_going, lambda day, replica: replica == "stays1" and day >= 56)
    at_once = list(deliveries([[sample for day in samples for sample in day]], SETTINGS))
    assert told(run(at_once)[1]) == undisturbed()


@pytest.mark.parametrize(("away", "known"), [(DAYS - 1, True), (DAYS + 2, False)])
def test_what_returns_in_time_finds_its_rows(away: int, known: bool) -> None:
    def there(day: int) -> list[str]:
        return ["stays", "returns"] if day < 30 or day >= 30 + away else ["stays"]

    shard, _ = run(list(deliveries(days(33 + away, there), SETTINGS)))
    bank = shard.evaluation.bank
    (row,) = (
        row
        for row, key in enumerate(bank.keys)
        if ("replica", "returns") in key.slice and key.statistic == "p50"
    )
    own = bank.arrays()["n"][row] - bank.arrays()["lent"][row]
    assert own == (33 if known else 3)


def test_a_silence_of_everything_is_no_time() -> None:
    def there(day: int) -> list[str]:
        return ["stays", "ends"] if day < 30 else ["stays"]

    batches = days(32, there)
    for batch in batches[30:]:
        for sample in batch:
            sample["event_time"] += 5 * DAYS * DAY_MS
    shard, _ = run(list(deliveries(batches, SETTINGS)))
    assert any(("replica", "ends") in key.slice for key in shard.evaluation.bank.keys)


def test_an_open_event_of_what_ended_is_resolved() -> None:
    def there(day: int) -> list[str]:
        return ["stays0", "stays1", "ends"] if day < 32 else ["stays0", "stays1"]

    batches = days(50, there, lambda day, replica: replica == "ends" and day >= 30)
    _, emissions = run(list(deliveries(batches, SETTINGS)))
    events = [e for each in emissions for e in each.events if e.identity.get("replica") == "ends"]
    slow = [e for e in events if e.signal == "gen_ai.server.time_to_first_token"]
    assert {e.status for e in slow} == {"firing", "resolved"}
    assert {e.event_id: e.status for e in events} == {e.event_id: "resolved" for e in events}


def test_room_under_the_cap_is_had_again() -> None:
    config = Settings(shards=1, windows=WINDOWS, slices=Slicing(sets=(("service", "replica"),), cap=2))

    def there(day: int) -> list[str]:
        return ["a", "b", "c"] if day < 10 else ["d", "e"]

    _, emissions = run(list(deliveries(days(30, there), config)), config)
    rows = [row for e in emissions if e.buckets is not None for row in e.buckets.to_pylist()]
    named: dict[int, set[str]] = {day: set() for day in range(30)}
    for row in rows:
        named[(row["bucket_start"] - START) // DAY_MS].add(row["replica"])
    assert named[9] == {"a", "b", "other"}
    assert named[12] == {"other"}
    assert named[29] == {"d", "e"}
