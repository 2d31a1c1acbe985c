"""A partition's time against the rules of the design, written out naively over the whole history."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.intake.time import PartitionTime
from operators.state import StateError

L = 30_000
START = 1_767_571_200_000


class Naive:
    """Keeps every producer's maximum after every record."""

    def __init__(self):
        self.time, self.number = None, 0
        self.maxima, self.last, self.newest, self.stopped = {}, {}, {}, set()

    def observe(self, record):
        self.number += 1
        for who, highest, newest in record:
            history = self.maxima.setdefault(who, [])
            history.append((self.number, max([highest, *(value for _, value in history)])))
            self.last[who], self.newest[who] = self.number, newest
            self.stopped.discard(who)
        behind = {who for who in self.maxima if self.newest[who] < self.maxima[who][-1][1] - L}
        changed = True
        while changed:
            changed = False
            for who in self.maxima:
                others = [other for other in self.maxima if other != who]
                passed = {other for other in others if self.advanced(other, self.last[who]) > L}
                counting = {other for other in others if other not in self.stopped | behind}
                if who not in self.stopped and (len(passed) >= 3 or (counting and counting <= passed)):
                    self.stopped.add(who)
                    changed = True
        active = sorted(v[-1][1] for who, v in self.maxima.items() if who not in self.stopped | behind)
        if active:
            median = active[(len(active) - 1) // 2]
            self.time = median if self.time is None else max(self.time, median)
        return self.time

    def advanced(self, who, since):
        history = self.maxima[who]
        since = max(since, history[0][0])
        return history[-1][1] - [value for number, value in history if number <= since][-1]


_sample = st.tuples(st.sampled_from("abcde"), st.integers(-4, 30), st.integers(0, 3))


@settings(max_examples=300)
@given(st.lists(st.lists(_sample, min_size=1, max_size=3, unique_by=lambda s: s[0]), max_size=60), st.data())
def test_equals_the_rules_written_out(records, data):
    time, naive = PartitionTime(L), Naive()
    cut = data.draw(st.integers(0, len(records)))
    base = START
    for number, record in enumerate(records):
        base += 2_000
        if number == cut:
            time = PartitionTime.restore(time.snapshot(), L)
        groups = []
        for name, offset, back in record:
            highest = base + offset * 4_000
            groups.append((("producer", name), highest, highest - back * 11_000))
        assert time.observe(groups) == naive.observe([(who[1], high, new) for who, high, new in groups])


def run(time, schedule):
    for name, at in schedule:
        time.observe([(("producer", name), START + at, START + at)])
    return time.time_ms - START


def test_one_wrong_clock_of_three_neither_leads_nor_holds_back():
    time = PartitionTime(L)
    ahead = [(who, at + (90_000 if who == "c" else 0)) for at in range(0, 60_000, 1_000) for who in "abc"]
    assert run(time, ahead) == 59_000
    behind = PartitionTime(L)
    assert (
        run(
            behind,
            [(w, at - (3_600_000 if w == "c" else 0)) for at in range(0, 60_000, 1_000) for w in "abc"],
        )
        == 59_000
    )


def test_the_median_of_two_is_the_lower_and_a_silent_one_stops_counting():
    time = PartitionTime(L)
    assert run(time, [("a", 0), ("b", 10_000)]) == 0
    assert run(time, [("b", at) for at in range(11_000, 40_001, 1_000)]) == 0  # by just the lateness
    assert run(time, [("b", 40_001)]) == 40_001


def test_a_lone_producer_counts_and_its_jump_back_stands_still():
    time = PartitionTime(L)
    assert run(time, [("a", 0), ("a", 100_000)]) == 100_000
    assert run(time, [("a", 10_000), ("a", 20_000)]) == 100_000


def test_a_partition_that_shrinks_to_one_producer_goes_on():
    time = PartitionTime(L)
    run(time, [(who, at) for at in range(0, 100_000, 1_000) for who in "abc"])
    run(time, [(who, at) for at in range(100_000, 200_000, 1_000) for who in "ab"])
    assert run(time, [("a", at) for at in range(200_000, 300_000, 1_000)]) == 299_000


def test_damaged_state_is_refused():
    with pytest.raises(StateError):
        PartitionTime.restore({"time_ms": 1}, L)
