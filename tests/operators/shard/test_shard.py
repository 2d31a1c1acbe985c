"""A shard as a whole: equal events whatever the order, the cuts and the restarts."""

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.emission import Emission
from operators.message import Message
from operators.settings import LifecycleSettings, Settings, Slicing, Windows
from operators.shard import Shard
from operators.state import StateError
from tests.operators.shard.stream import START, TOPIC, cells, deliveries

SETTINGS = Settings(shards=1, lifecycle=LifecycleSettings(clear=2))
Sample = dict[str, Any]


def requests(seed: int, minutes: int, slow_from: int = 10**6, dead_from: int = 10**6) -> list[list[Sample]]:
    """A minute of requests a batch, over three replicas; r0 turns slow, r1 stops answering."""
    rng = np.random.default_rng(seed)
    batches = []
    for minute in range(minutes):
        batch: list[Sample] = []
        for number in range(60):
            replica = int(rng.integers(3))
            base = {
                "event_time": START + minute * 60_000 + number * 1000,
                "service": "chat",
                "request_model": "m",
                "service_version": "v1",
                "replica": f"r{replica}",
                "request_id": f"{minute}-{number}",
            }
            batch.append(base | {"status": "started"})
            slow = 6.0 if replica == 0 and minute >= slow_from else 1.0
            if replica != 1 or minute < dead_from:
                done = {"status": "ok", "ttft_s": float(rng.lognormal(-1, 0.3)) * slow}
                batch.append(base | done | {"event_time": base["event_time"] + 400})
        batches.append(batch)
    return batches


def told(emissions: Sequence[Emission]) -> list[Any]:
    """Everything that left, in comparable form."""
    return [
        [
            *msgspec.to_builtins([e.events, e.windows, e.first_ms, e.last_ms, e.late]),
            None if e.buckets is None else rows(e.buckets),
        ]
        for e in emissions
        if e.events or e.windows or e.buckets is not None or e.late
    ]


def rows(table: pa.Table) -> list[str]:
    return sorted(map(repr, table.to_pylist()))


def run(messages: Sequence[Message], config: Settings = SETTINGS) -> tuple[Shard, list[Emission]]:
    shard = Shard(0, config)
    return shard, [*[shard.receive(message) for message in messages], shard.finish()]


@pytest.fixture(scope="module")
def incident() -> list[Message]:
    return list(deliveries(requests(1, 45, slow_from=34, dead_from=40), SETTINGS))


@pytest.fixture(scope="module")
def undisturbed(incident: list[Message]) -> list[Any]:
    return told(run(incident)[1])


def test_a_slow_replica_is_named_and_paged(incident: list[Message]) -> None:
    events = [event for emission in run(incident)[1] for event in emission.events]
    slow = [
        e for e in events if e.signal.endswith("time_to_first_token") and e.identity.get("replica") == "r0"
    ]
    assert min(e.window_start for e in slow) == START + 34 * 60_000
    assert {e.symptom for e in slow} == {"performance_degradation"}
    assert {e.detected_at for e in slow} >= {START + 35 * 60_000 + 30_000}
    assert START + 36 * 60_000 < min(e.paged_at for e in slow if e.paged_at) < START + 39 * 60_000
    assert "r0" in slow[0].summary


def test_stalled_completions_page_while_requests_are_started(incident: list[Message]) -> None:
    events = [event for emission in run(incident)[1] for event in emission.events]
    stalled = [e for e in events if e.detector == "absence" and e.signal == "gen_ai.server.completions"]
    assert stalled
    assert {e.identity["replica"] for e in stalled} == {"r1"}
    assert {e.severity for e in stalled} == {"error"}
    assert {e.kind for e in stalled} == {"missing_data"}


@settings(max_examples=3)
@given(st.integers(1, 44))
def test_snapshot_anywhere_and_going_on_is_as_never_having_stopped(
    incident: list[Message], undisturbed: list[Any], cut: int
) -> None:
    shard, emissions = Shard(0, SETTINGS), []
    for place, message in enumerate(incident):
        if place == cut:
            data = shard.snapshot()
            shard = Shard.restore(data, SETTINGS)
            assert shard.snapshot() == data
        emissions.append(shard.receive(message))
    assert told([*emissions, shard.finish()]) == undisturbed


@settings(max_examples=3)
@given(st.randoms(use_true_random=False))
def test_overtaking_and_replay_change_nothing(
    incident: list[Message], undisturbed: list[Any], shuffle: random.Random
) -> None:
    # within a stretch messages come in any order, and some twice
    messages: list[Message] = []
    for first in range(0, len(incident), 5):
        part = incident[first : first + 5]
        again = shuffle.sample(incident[: first + 5], 2)
        messages += shuffle.sample(part + again, len(part) + 2)
    events = [told_events(part) for part in (undisturbed, told(run(messages)[1]))]
    assert events[0] == events[1]


def told_events(parts: Sequence[Any]) -> list[str]:
    """All events, windows and bucket rows, without regard to the step that handed them out."""
    return sorted(repr(one) for part in parts for group in (part[0], part[1], part[5] or []) for one in group)


@settings(max_examples=2)
@given(st.integers(60, 400))
def test_other_cuts_into_deliveries_change_nothing(undisturbed: list[Any], size: int) -> None:
    samples = [sample for batch in requests(1, 45, slow_from=34, dead_from=40) for sample in batch]
    batches = [samples[first : first + size] for first in range(0, len(samples), size)]
    assert told_events(told(run(list(deliveries(batches, SETTINGS)))[1])) == told_events(undisturbed)


def test_two_partitions_hold_each_other_back() -> None:
    halves = [requests(2, 5), requests(3, 5)]
    names = (f"{TOPIC}/0", f"{TOPIC}/1")
    chains = [
        [msgspec.structs.replace(m, partitions=names) for m in deliveries(half, SETTINGS, partition=name)]
        for half, name in zip(halves, names, strict=True)
    ]
    shard = Shard(0, SETTINGS)
    assert all(shard.receive(message).first_ms is None for message in chains[0])
    emissions = [shard.receive(message) for message in chains[1]]
    assert emissions[-1].last_ms is not None


def test_what_comes_below_a_closed_bucket_is_counted_late_and_not_folded() -> None:
    shard = Shard(0, SETTINGS)
    messages = list(deliveries(requests(4, 5), SETTINGS))
    for message in messages:
        shard.receive(message)
    late = [sample | {"request_id": "late"} for sample in requests(4, 1)[0]]
    message = Message(
        partition="telemetry.requests.v1/9",
        after=-1,
        offset=0,
        time_ms=START + 60_000,
        cells=cells(late, SETTINGS),
        ledger={TOPIC: {START: 20, START + 240_000 + 50_000: 3}},
    )
    assert shard.receive(message).late == {TOPIC: 20}
    assert not [start for start in shard.open.starts() if start < START + 120_000]


def test_another_version_is_refused(incident: list[Message]) -> None:
    from operators.state import pack

    with pytest.raises(StateError, match="version 99"):
        Shard.restore(pack("shard", 99, {}, {}), SETTINGS)


def test_windows_must_be_made_of_buckets() -> None:
    with pytest.raises(ValueError, match="detect_s"):
        Shard(0, Settings(windows=Windows(bucket_s=7)))


def test_a_cap_keeps_the_heaviest_and_counts_the_rest_as_other() -> None:
    config = Settings(shards=1, slices=Slicing(sets=(("service", "replica"),), cap=2))
    counts = {"a": 9, "b": 1, "c": 5, "d": 2}
    batch = [
        {
            "event_time": START + n,
            "service": "s",
            "replica": name,
            "request_id": f"{name}{n}",
            "status": "ok",
            "ttft_s": 0.5,
        }
        for name, count in counts.items()
        for n in range(count)
    ]
    _, emissions = run(list(deliveries([batch], config)), config)
    table = [row for e in emissions if e.buckets is not None for row in e.buckets.to_pylist()]
    ttft = {r["replica"]: r["count"] for r in table if r["signal"].endswith("time_to_first_token")}
    assert ttft == {"a": 9, "c": 5, "other": 3}


def failures(counts: dict[str, int], minute: int) -> list[Sample]:
    """Requests that failed in a minute, by the type of their error."""
    types = [kind for kind, count in counts.items() for _ in range(count)]
    return [
        {
            "event_time": START + minute * 60_000 + n,
            "service": "s",
            "request_id": f"{minute}-{n}",
            "status": "error",
            "error_type": kind,
        }
        for n, kind in enumerate(types)
    ]


@settings(max_examples=5)
@given(st.randoms(use_true_random=False))
def test_a_series_keeps_so_many_words_apart_and_counts_the_rest_as_other(shuffle: random.Random) -> None:
    config = Settings(shards=1, slices=Slicing(attribute_cap=3))
    minutes = [
        {"a": 5, "b": 1, "c": 9},
        {"d": 2, "e": 4, "f": 4, "a": 1},
        {"g": 50, "b": 2, "other": 3, "e": 7},
    ]
    batches = [failures(counts, minute) for minute, counts in enumerate(minutes)]
    for batch in batches:
        shuffle.shuffle(batch)
    shard, emissions = run(list(deliveries(batches, config)), config)
    table = [row for e in emissions if e.buckets is not None for row in e.buckets.to_pylist()]
    errors = [row for row in table if row["signal"] == "gen_ai.server.errors" and row["attribute"]]
    found: list[dict[str, int]] = [{} for _ in minutes]
    for row in errors:
        found[(row["bucket_start"] - START) // 60_000][row["attribute"]] = row["sum"]
    assert found == [{"a": 5, "b": 1, "c": 9}, {"a": 1, "other": 10}, {"b": 2, "other": 60}]
    assert {key.statistic for key in shard.evaluation.bank.keys if key.signal.endswith("errors")} == {
        "ratio",
        *(f"share:{word}" for word in ("a", "b", "c", "other")),
    }
    again = Shard.restore(shard.snapshot(), config)
    assert again.evaluation.catalogue.words == shard.evaluation.catalogue.words


def test_where_there_is_not_room_for_all_words_the_heaviest_are_kept() -> None:
    config = Settings(shards=1, slices=Slicing(attribute_cap=2))
    _, emissions = run(list(deliveries([failures({"a": 1, "b": 2, "c": 9, "d": 4}, 0)], config)), config)
    table = [row for e in emissions if e.buckets is not None for row in e.buckets.to_pylist()]
    errors = {row["attribute"]: row["sum"] for row in table if row["signal"] == "gen_ai.server.errors"}
    assert {word: errors[word] for word in errors if word} == {"c": 9, "d": 4, "other": 3}


def test_coinciding_slices_are_one_and_count_each_sample_once() -> None:
    batch = [
        {"event_time": START + n, "service": "s", "request_id": str(n), "status": "ok", "ttft_s": 0.5}
        for n in range(7)
    ]
    _, emissions = run(list(deliveries([batch], SETTINGS)))
    table = [row for e in emissions if e.buckets is not None for row in e.buckets.to_pylist()]
    ttft = [row for row in table if row["signal"].endswith("time_to_first_token")]
    assert [(row["service"], row["count"]) for row in ttft] == [("s", 7)]


def test_a_rare_service_is_never_missed_nor_paged() -> None:
    rng = np.random.default_rng(5)
    times = START + np.cumsum(rng.exponential(20 * 60_000, 30)).astype(int)
    rare = [
        {"event_time": int(time), "service": "rare", "request_id": str(time), "status": "ok", "ttft_s": 1.0}
        for time in times
    ]
    # another service keeps event time moving
    other = [
        {"event_time": time, "service": "chat", "request_id": str(time), "status": "ok", "duration_s": 1.0}
        for time in range(START, int(times[-1]), 60_000)
    ]
    samples = sorted(rare + other, key=lambda sample: sample["event_time"])
    batches = [samples[first : first + 200] for first in range(0, len(samples), 200)]
    _, emissions = run(list(deliveries(batches, SETTINGS)))
    events = [event for emission in emissions for event in emission.events]
    assert [e for e in events if e.identity.get("service") == "rare" and e.severity != "info"] == []
    assert [e for e in events if e.detector == "absence"] == []


def test_a_silence_of_the_whole_pipeline_is_no_event() -> None:
    before = requests(6, 30)
    gap = 4 * 3_600_000
    after = [[s | {"event_time": s["event_time"] + gap} for s in batch] for batch in requests(7, 5)]
    _, emissions = run(list(deliveries([*before, *after], SETTINGS)))
    assert [event for e in emissions for event in e.events if event.kind == "missing_data"] == []
