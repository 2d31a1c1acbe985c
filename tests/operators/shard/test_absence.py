"""Which silences are told, and which page."""

from typing import Any

import numpy as np

from operators.settings import Settings
from operators.shard import Shard
from schemas.outputs import AnomalyEvent
from schemas.records import ChangeRecord
from tests.operators.shard.stream import START, deliveries

SETTINGS = Settings(shards=1)
Sample = dict[str, Any]


def traffic(minutes: int, gone_from: int, *, moved: bool) -> list[list[Sample]]:
    """Requests over four replicas; r3 falls silent, its load moving to the others or getting lost."""
    rng = np.random.default_rng(0)
    batches = []
    for minute in range(minutes):
        batch: list[Sample] = []
        for number in range(120):
            replica = int(rng.integers(4))
            if replica == 3 and minute >= gone_from:
                if not moved:
                    continue
                replica = int(rng.integers(3))
            time = START + minute * 60_000 + number * 500
            base = {"event_time": time, "service": "chat", "service_version": "v1", "replica": f"r{replica}"}
            named = base | {"request_id": f"{minute}-{number}"}
            batch += [named | {"status": "started"}, named | {"status": "ok", "event_time": time + 300}]
        batches.append(batch)
    return batches


def absences(batches: list[list[Sample]], changes: tuple[ChangeRecord, ...] = ()) -> list[AnomalyEvent]:
    shard = Shard(0, SETTINGS)
    emissions = [shard.receive(message) for message in deliveries(batches, SETTINGS, changes=changes)] + [
        shard.finish()
    ]
    return [event for e in emissions for event in e.events if event.detector == "absence"]


def test_a_scale_in_is_told_as_info_and_ends() -> None:
    events = absences(traffic(75, 20, moved=True))
    assert {event.identity["replica"] for event in events} == {"r3"}
    assert {event.severity for event in events} == {"info"}
    assert len({event.event_id for event in events}) == 1, "one event for a slice that is silent altogether"
    assert events[-1].status == "resolved"


def test_a_silence_whose_load_is_lost_pages_as_telemetry_fault() -> None:
    events = absences(traffic(40, 20, moved=False))
    assert {event.identity["replica"] for event in events} == {"r3"}
    assert max(event.severity for event in events) == "warning"
    assert {event.symptom for event in events} == {"telemetry_fault"}
    paged = [event.paged_at for event in events if event.paged_at]
    assert min(paged) <= START + 24 * 60_000


def test_a_maintenance_that_names_it_holds_the_page_down() -> None:
    drain = ChangeRecord(
        event_time=START + 19 * 60_000,
        change_id="drain-3",
        change_type="maintenance",
        ends_at=START + 90 * 60_000,
        replica="r3",
    )
    events = absences(traffic(40, 20, moved=False), (drain,))
    assert {(event.severity, event.suppressed_by) for event in events} == {("info", ("drain-3",))}


def test_it_resolves_when_the_series_is_back() -> None:
    away = traffic(32, 20, moved=False)
    back = traffic(50, 99, moved=False)[32:]
    events = absences([*away, *back])
    last = {event.event_id: event.status for event in events}
    assert set(last.values()) == {"resolved"}


def replicas(minutes: int, ready: dict[range, int]) -> list[list[Sample]]:
    """Counts of replicas, ten seconds apart."""
    batches = []
    for minute in range(minutes):
        now = next((n for span, n in ready.items() if minute in span), 4)
        batches.append(
            [
                {
                    "event_time": START + minute * 60_000 + second * 1000,
                    "service": "chat",
                    "signal": f"gen_ai.server.replicas_{which}",
                    "value": float(value),
                }
                for second in range(0, 60, 10)
                for which, value in (("ready", now), ("desired", 4))
            ]
        )
    return batches


def shortfalls(batches: list[list[Sample]]) -> list[AnomalyEvent]:
    shard = Shard(0, SETTINGS)
    messages = deliveries(batches, SETTINGS, form="metrics", topic="telemetry.metrics.v1")
    emissions = [shard.receive(message) for message in messages] + [shard.finish()]
    return [event for e in emissions for event in e.events if event.detector == "absence"]


def test_replicas_short_for_more_than_five_minutes_are_a_deployment_failure() -> None:
    events = shortfalls(replicas(40, {range(10, 30): 1}))
    assert {event.symptom for event in events} == {"deployment_failure"}
    assert events[0].severity == "error"
    assert START + 15 * 60_000 < events[0].detected_at <= START + 17 * 60_000
    assert events[-1].status == "resolved"


def test_a_cold_start_of_two_minutes_is_none() -> None:
    assert shortfalls(replicas(40, {range(10, 12): 3, range(20, 22): 1})) == []


def test_a_replica_that_goes_unasked_is_missed_even_if_its_load_moved() -> None:
    shard, told = Shard(0, SETTINGS), []
    served = deliveries(traffic(40, 20, moved=True), SETTINGS)
    asked = deliveries(replicas(40, {}), SETTINGS, form="metrics", topic="telemetry.metrics.v1")
    for pair in zip(served, asked, strict=True):
        for message in pair:
            told += shard.receive(message).events
    gone = [event for event in told if event.identity.get("replica") == "r3" and event.paged_at]
    assert {event.symptom for event in gone} == {"telemetry_fault"}
    assert START + 29 * 60_000 < min(event.paged_at or 0 for event in gone) < START + 33 * 60_000


def test_a_long_silence_before_does_not_excuse_the_next() -> None:
    long_away = traffic(120, 20, moved=True)
    again = traffic(180, 160, moved=False)[120:]
    events = absences([*long_away, *again])
    paged = [event.paged_at for event in events if event.paged_at]
    assert paged
    assert START + 160 * 60_000 < min(paged) <= START + 172 * 60_000
