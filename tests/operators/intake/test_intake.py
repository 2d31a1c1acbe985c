"""An intake judges every sample once, by the records alone, however they are cut into deliveries."""

import json
from collections import Counter
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.fold import merge
from operators.intake import Accounts, Intake, SourceRecord
from operators.message import CHAIN_STEPS
from operators.settings import Settings, Windows
from operators.state import StateError

START = 1_767_571_200_000
TOPIC = "telemetry.requests.v1"
SETTINGS = Settings(shards=3)


def request(at_ms, producer="p1", **fields):
    known = {
        "event_time": START + at_ms,
        "service": "chat",
        "producer": producer,
        "status": "ok",
        "ttft_s": 0.25,
    }
    return known | {"request_id": f"{producer}-{at_ms}"} | fields


def records(values, topic=TOPIC, start=0, broker_time_ms=None):
    encoded = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    return [
        SourceRecord(topic, f"{topic}/0", start + index, value, broker_time_ms)
        for index, value in enumerate(encoded)
    ]


def intake(topic=TOPIC, settings=SETTINGS):
    return Intake(topic, f"{topic}/0", settings)


def cells(deliveries, settings=SETTINGS):
    found = []
    for delivery in deliveries:
        for message in delivery.messages.values():
            if message.cells is not None:
                with pa.ipc.open_stream(message.cells) as reader:
                    found += list(reader)
    return merge(found, settings.slices)


def counts(accounts, topic=TOPIC):
    assert accounts.balanced()
    return accounts.topics()[topic]


def faults(deliveries):
    return [fault for each in deliveries for message in each.messages.values() for fault in message.faults]


_values = st.one_of(
    st.builds(
        lambda at, who, number: request(at * 5_000, who, **({"producer_seq": number} if number else {})),
        st.integers(0, 40),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 3),
    ),
    st.lists(
        st.builds(lambda at, who: request(at * 5_000, who), st.integers(0, 40), st.sampled_from(["a", "b"])),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(
        [
            b"{broken",
            b"[]",
            b"\xff\xff\xff\xff",
            request(1_000, ttft_s=-1.0),
            request(2_000, prompt="hello"),
            request(3_000, colour="red"),
        ]
    ),
)


@settings(max_examples=60)
@given(st.lists(_values, max_size=40), st.data())
def test_deliveries_may_be_cut_anywhere(values, data):
    whole = records(values)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=5)) | {0, len(whole)})
    one, other = intake(), intake()
    together = [one.take(whole)]
    apart = []
    for start, end in pairwise(cuts):
        apart.append(other.take(whole[start:end]))
        other = Intake.restore(other.snapshot(), SETTINGS)
    nothing = Accounts()
    sums = [reduce(add, (each.accounts for each in found), nothing) for found in (together, apart)]
    assert sums[0] == sums[1]
    assert sums[0].balanced()
    assert cells(together).equals(cells(apart))
    assert faults(together) == faults(apart)
    assert [letter for each in together for letter in each.dead_letters] == [
        letter for each in apart for letter in each.dead_letters
    ]
    assert one.time_ms == other.time_ms


def test_late_is_judged_by_the_time_before_the_record():
    source = intake()
    source.take(records([request(0)]))
    # one record may span more than the lateness: nothing in it makes the rest of it late
    both = source.take(records([[request(100_000), request(1_000)]], start=1))
    assert counts(both.accounts)["late"] == 0
    exactly = source.take(records([[request(200_000)], request(170_000), request(169_999)], start=2))
    assert counts(exactly.accounts)["late"] == 1
    assert exactly.accounts.late == Counter({(TOPIC, "p1"): 1})


def test_late_comes_before_duplicate_and_refused_before_both():
    source = intake()
    source.take(records([request(0), request(100_000)]))
    found = source.take(records([request(0), request(100_000), request(100_000, ttft_s="slow")], start=2))
    assert counts(found.accounts) == {
        "in": 3,
        "accepted": 0,
        "refused": 1,
        "ignored": 0,
        "late": 1,
        "duplicate": 1,
    }


def test_a_key_is_forgotten_when_its_bucket_closes():
    again = request(100_000, request_id="r")
    source = intake()
    first = source.take(records([request(61_000, request_id="r"), again]))
    assert counts(first.accounts)["duplicate"] == 1
    source.take(records([request(110_000)], start=2))  # the bucket of 60 s closes at 70 s + lateness
    assert counts(source.take(records([again], start=3)).accounts)["duplicate"] == 0


@pytest.mark.parametrize(
    ("changed", "repeats"),
    [({}, 1), ({"request_id": "other"}, 1), ({"producer_seq": 8}, 0), ({"event_time": START + 1}, 0)],
)
def test_numbered_samples_repeat_by_producer_number_and_time(changed, repeats):
    sample = request(0, producer_seq=7)
    found = intake().take(records([sample, sample | changed]))
    assert counts(found.accounts)["duplicate"] == repeats


def test_one_request_starts_and_ends_once_and_duplicates_can_be_switched_off():
    samples = [request(0, request_id="r", status=status) for status in ("started", "ok", "ok")]
    assert counts(intake().take(records(samples)).accounts)["duplicate"] == 1
    off = intake(settings=Settings(deduplicate=False))
    assert counts(off.take(records(samples)).accounts)["duplicate"] == 0


def test_scrapes_without_a_number_are_never_duplicates():
    topic = "telemetry.gpu.v1"
    scrape = {"event_time": START, "gpu": "g1", "utilization": 0.5}
    found = intake(topic).take(records([scrape, scrape], topic))
    assert counts(found.accounts, topic)["accepted"] == 2


def test_too_far_ahead_of_kafka_is_refused_and_changes_may_lie_90_days_ahead():
    kafka = records([request(301_000), request(300_000)], broker_time_ms=START)
    assert counts(intake().take(kafka).accounts)["refused"] == 1
    days = 86_400_000
    topic = "changes.v1"
    change = {"change_id": "c", "change_type": "deployment", "service": "chat"}
    planned = [change | {"event_time": START + ahead * days} for ahead in (89, 91)]
    found = intake(topic).take(records(planned, topic, broker_time_ms=START))
    assert found.accounts.refused == Counter({(topic, "future_time"): 1})
    assert all(message.changes[0].change_id == "c" for message in found.messages.values())
    assert {(message.time_ms, message.state) for message in found.messages.values()} == {(None, "idle")}


def test_changes_are_never_late():
    topic = "changes.v1"
    change = {"change_id": "c", "change_type": "config", "service": "chat"}
    found = intake(topic).take(records([change | {"event_time": START + at} for at in (10**8, 0, 0)], topic))
    assert counts(found.accounts, topic)["accepted"] == 3


def minutes(skew, producers="abc", count=200):
    return [
        request(at * 1_000 + skew.get(who, 0), who, request_id=f"{who}{at}")
        for at in range(count)
        for who in producers
    ]


@pytest.mark.parametrize(("skew", "late", "ahead"), [(90_000, False, True), (-3_600_000, True, False)])
def test_a_wrong_clock_is_told_of_minute_by_minute(skew, late, ahead):
    source = intake()
    deliveries = [source.take(records(minutes({"c": skew}))), source.state_change("exhausted")]
    told = faults(deliveries)
    assert {(fault.producer, fault.field, fault.partition_wide) for fault in told} == {
        ("c", "producer", False)
    }
    assert [fault.minute_ms - START for fault in told] == [0, 60_000, 120_000, 180_000]
    assert all((fault.late > 0) == late and (fault.ahead > 0) == ahead for fault in told)
    assert np.allclose([fault.skew_s for fault in told], skew / 1000, atol=1.0)


def test_a_replay_of_all_producers_is_partition_wide_and_a_good_partition_silent():
    source = intake()
    good = source.take(records(minutes({})))
    again = source.take(records(minutes({}), start=600))
    assert not faults([good])
    told = faults([again, source.state_change("exhausted")])
    assert told
    assert all(fault.partition_wide for fault in told)
    assert again.accounts.late.total() + again.accounts.duplicate.total() == 600


def test_messages_chain_over_records_and_changes_of_state():
    source = intake()
    found = [
        source.take(records([request(0)], start=41)),
        source.state_change("idle"),
        source.take(records([request(1_000)], start=42)),
        source.state_change("idle"),
        source.state_change("exhausted"),
    ]
    for shard in range(SETTINGS.shards):
        chain = [each.messages[shard] for each in found]
        assert [message.after for message in chain] == [-1, *(message.offset for message in chain[:-1])]
        assert [message.offset for message in chain] == [
            42 * CHAIN_STEPS,
            42 * CHAIN_STEPS + 1,
            43 * CHAIN_STEPS,
            43 * CHAIN_STEPS + 1,
            43 * CHAIN_STEPS + 2,
        ]
        assert [message.state for message in chain] == ["active", "idle", "active", "idle", "exhausted"]


def test_records_taken_before_are_passed_over():
    source = intake()
    source.take(records([request(0), request(1_000)]))
    again = source.take(records([request(0), request(1_000)]))
    assert not again.messages
    assert not again.accounts.received


def test_what_is_refused_leaves_no_text_and_no_vector():
    secret = {
        "event_time": START,
        "service": "chat",
        "request_id": "r",
        "side": "output",
        "embedder_version": "e",
    }
    vector = secret | {"dim": 3, "vector": "c2VjcmV0"}
    found = intake("telemetry.embeddings.v1").take(records([vector], "telemetry.embeddings.v1"))
    text = intake().take(records([request(0, nested={"prompt": "c2VjcmV0"})]))
    letters = [*found.dead_letters, *text.dead_letters]
    assert len(letters) == 2
    assert all(letter.value is None and letter.length and len(letter.sha256) == 64 for letter in letters)
    assert "c2VjcmV0" not in repr((found, text))


def test_the_ledger_goes_to_every_shard_and_edges_to_the_first():
    gpus = request(0, replica="r1", node="n1", gpus=["g1", "g2"], producer="p1")
    found = intake().take(records([gpus, request(11_000), request(12_000)]))
    ledger = {TOPIC: {START: 1, START + 10_000: 2}}
    assert all(message.ledger == ledger for message in found.messages.values())
    assert ("replica:r1", "node:n1", "runs_on") in found.messages[0].edges
    assert ("gpu:g2", "replica:r1", "serves") in found.messages[0].edges
    assert ("producer:p1", "replica:r1", "speaks_for") in found.messages[0].edges
    assert not any(message.edges for shard, message in found.messages.items() if shard)


def test_a_snapshot_of_other_windows_or_nonsense_is_refused():
    data = intake().snapshot()
    with pytest.raises(StateError, match="lateness"):
        Intake.restore(data, Settings(windows=Windows(lateness_s=60)))
    with pytest.raises(StateError):
        Intake.restore(b"nonsense", SETTINGS)
    with pytest.raises(StateError):
        Intake.restore(data[:-3], SETTINGS)


def test_an_unknown_topic_ends_in_dead_letters():
    found = intake("telemetry.unknown").take(records([request(0)], "telemetry.unknown"))
    assert [letter.reason for letter in found.dead_letters] == ["unknown_topic"]
    assert counts(found.accounts, "telemetry.unknown")["refused"] == 1
