"""One event per episode: its stages, ids, revisions and times."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.lifecycle import Finding, Lifecycle
from operators.series import SeriesKey, event_id, fingerprint
from operators.settings import LifecycleSettings
from schemas.outputs import AnomalyEvent, AnomalyWindow

MINUTE, LATENESS = 60_000, 30_000
KEY = SeriesKey(
    "telemetry.requests.v1",
    "gen_ai.server.time_to_first_token",
    "p95",
    None,
    (("service", "chat-api"), ("service_version", "v2"), ("region", "eu-west1")),
    "duration",
    "s",
)


def finding(alarm: bool, *, detector: str = "ewma/1", observed: float = 0.86, score: float = 6.0) -> Finding:
    return Finding(
        "bank",
        KEY,
        detector,
        alarm,
        score,
        5.0,
        1e-6,
        observed,
        0.21,
        0.1,
        0.3,
        1000,
        1 if observed > 0.21 else -1,
    )


def play(
    pattern: Sequence[bool | Finding | None], suppressed: tuple[str, ...] = (), **settings: int
) -> tuple[list[AnomalyEvent], list[AnomalyWindow], Lifecycle]:
    """Windows of a minute each: alarm, calm, nothing seen, or a finding."""
    lifecycle = Lifecycle(LifecycleSettings(**settings), LATENESS, "hash")
    events: list[AnomalyEvent] = []
    windows: list[AnomalyWindow] = []
    for minute, what in enumerate(pattern):
        findings = [] if what is None else [what if isinstance(what, Finding) else finding(what)]
        start = minute * MINUTE
        told = lifecycle.step(start, start + MINUTE, findings, lambda *_: suppressed)
        events += told[0]
        windows += told[1]
    return events, windows, lifecycle


def test_times_and_ids_of_an_event_are_those_of_its_first_firing_window() -> None:
    events, windows, _ = play([False, False, True, True])
    first = events[0]
    assert first.window_start == 2 * MINUTE
    assert first.detected_at == first.updated_at == 3 * MINUTE + LATENESS
    assert first.event_id == event_id("ewma/1", fingerprint(KEY, "ewma/1"), 2 * MINUTE)
    assert [e.revision for e in events] == [0, 1]
    assert events[1].window_end == 4 * MINUTE
    assert events[1].detected_at == first.detected_at
    assert [w.window_start for w in windows] == [2 * MINUTE, 3 * MINUTE]
    assert {w.event_id for w in windows} == {first.event_id}


def test_one_series_pages_when_it_goes_on_or_is_far_beyond_the_budget() -> None:
    going_on, _, _ = play([True, True, True])
    assert [(e.severity, e.paged_at) for e in going_on] == [
        ("info", None),
        ("info", None),
        ("warning", 3 * MINUTE + LATENESS),
    ]
    far = finding(True, score=9.0)
    assert [e.severity == "info" for e in play([far, far])[0]] == [True, False]


def test_a_moment_or_a_trifle_wakes_nobody() -> None:
    moment = finding(True, detector="spike/1", score=12.0)
    assert {e.severity for e in play([moment, moment, False, False])[0]} == {"info"}
    trifle = finding(True, observed=0.22, score=12.0)
    assert {e.severity for e in play([trifle] * 6)[0]} == {"info"}


def test_an_event_shows_its_worst_window_not_the_way_back() -> None:
    events, _, _ = play([finding(True, observed=0.9), finding(True, observed=0.01)])
    assert {e.observed_value for e in events} == {0.9}


def share(bad: int, of: int, *, completed: bool = False, alarm: bool = True) -> Finding:
    """A window of a share that is expected to be 0.0001 (errors) or 1 (completions)."""
    signal, statistic = ("completions", "completed") if completed else ("errors", "ratio")
    key = KEY._replace(signal=f"gen_ai.server.{signal}", statistic=statistic, kind="ratio", unit="1")
    seen, expected = ((of - bad) / of, 1.0) if completed else (bad / of, 0.0001)
    direction, score = (-1, 6.0) if completed else (1, 5.2)
    return Finding("bank", key, "rare/1", alarm, score, 5.1, 6e-6, seen, expected, 0.0, 1.0, of, direction)


def test_few_bad_requests_wake_nobody_until_they_add_up() -> None:
    drops = [share(1, 60), share(0, 60, alarm=False)] * 8
    paged = [e.updated_at for e in play(drops)[0] if e.paged_at == e.updated_at]
    assert paged == [11 * MINUTE + LATENESS]


@pytest.mark.parametrize(("bad", "pages"), [(2, False), (4, True)])
def test_a_share_that_differs_is_counted_too(bad: int, pages: bool) -> None:
    key = KEY._replace(signal="gen_ai.output.refusal_ratio", statistic="ratio", kind="ratio", unit="1")
    numbers = (True, 7.0, 5.1, 1e-7, bad / 40, 0.02, 0.0, 1.0, 40, 1)
    events, _, _ = play([Finding("bank", key, "siblings/1", *numbers)] * 6)
    assert any(e.paged_at for e in events) is pages


def test_a_wider_spread_is_harm_of_a_ratio_alone() -> None:
    wider = [share(5, 60)._replace(detector="variance/1", score=9.0)] * 4
    assert "error" in {e.severity for e in play(wider)[0]}
    assert {e.severity for e in play([finding(True, detector="variance/1", score=9.0)] * 4)[0]} == {"info"}


def test_a_pace_that_goes_on_swinging_wakes_somebody() -> None:
    swing = finding(True, detector="variance/1", score=7.0)
    swing = swing._replace(key=KEY._replace(signal="gen_ai.server.time_per_output_token"))
    events, _, _ = play([swing] * 12)
    assert [e.updated_at for e in events if e.paged_at == e.updated_at] == [10 * MINUTE + LATENESS]


def test_being_slow_under_more_requests_than_usual_is_load() -> None:
    slow = finding(True, score=9.0)
    crowded, ordinary = slow._replace(usual=700.0), slow._replace(usual=900.0)
    assert {e.severity for e in play([crowded] * 6)[0]} == {"info"}
    assert {e.severity for e in play([ordinary] * 6)[0]} > {"info"}
    assert {e.severity for e in play([crowded] * 6 + [ordinary] * 2)[0]} > {"info"}, "nor does load excuse it"


@pytest.mark.parametrize(("apart", "pages"), [(3, True), (4, False)])
def test_odd_windows_that_lie_far_apart_do_not_go_on(apart: int, pages: bool) -> None:
    slow, usual = finding(True), finding(True, observed=0.22)
    events, _, _ = play([slow, *[usual] * apart] * 4)
    assert any(e.paged_at for e in events) is pages


def test_a_part_that_has_just_begun_may_be_slow_for_ten_minutes() -> None:
    cold = finding(True, score=9.0)._replace(warming=True)
    assert {e.severity for e in play([cold] * 9)[0]} == {"info"}
    assert {e.severity for e in play([cold] * 10)[0]} > {"info"}


def test_completions_that_come_later_are_no_harm() -> None:
    waves = [share(6, 12, completed=True), share(-6, 12, completed=True)] * 6
    assert {e.severity for e in play(waves)[0]} == {"info"}
    hang = [share(11, 12, completed=True)] * 4
    assert "info" not in {e.severity for e in play(hang)[0][2:]}


def test_confirmation_delays_firing_but_not_the_onset() -> None:
    events, _, _ = play([True, True, True], confirm=3)
    assert [(e.window_start, e.detected_at) for e in events] == [(0, 3 * MINUTE + LATENESS)]


def test_what_is_not_confirmed_leaves_nothing() -> None:
    events, windows, lifecycle = play([True, False, True, False], confirm=2)
    assert (events, windows, lifecycle.episodes) == ([], [], {})


def test_it_resolves_after_so_many_calm_windows_and_unseen_ones_do_not_count() -> None:
    events, _, _ = play([True, False, None, None, False, False], clear=3)
    assert [e.status for e in events] == ["firing", "resolved"]
    assert events[1].updated_at == 6 * MINUTE + LATENESS
    assert events[1].window_end == MINUTE


def test_a_reopen_within_the_cooldown_is_the_same_event() -> None:
    events, _, _ = play([True, False, True, False, True], clear=1, cooldown_s=120)
    assert len({e.event_id for e in events}) == 1
    assert [e.status for e in events] == ["firing", "resolved", "firing", "resolved", "firing"]
    assert [e.revision for e in events] == [0, 1, 2, 3, 4]


def test_after_the_cooldown_it_is_another_event() -> None:
    events, _, _ = play([True, False, None, None, None, True], clear=1, cooldown_s=120)
    assert len({e.event_id for e in events}) == 2
    assert [e.revision for e in events] == [0, 1, 0]


def test_flapping_is_held_open() -> None:
    events, _, _ = play([True, False] * 20, clear=1, cooldown_s=600)
    assert [e.status for e in events].count("resolved") == 3
    assert events[-1].status == "firing"


def test_the_detector_that_led_at_firing_stays() -> None:
    events, _, _ = play([finding(True, detector="spike/1"), finding(True, detector="ewma/1")])
    assert {e.detector for e in events} == {"spike"}
    assert len({e.fingerprint for e in events}) == 1


def test_severity_only_rises_and_the_page_is_of_its_first_revision_at_warning() -> None:
    better, worse = finding(True, observed=0.1), finding(True, observed=2.0, score=12.0)
    events, _, _ = play([better, worse, worse, finding(True)])
    assert [e.severity for e in events] == ["info", "info", "critical", "critical"]
    assert [e.paged_at for e in events] == [None, None, *[3 * MINUTE + LATENESS] * 2]
    assert events[0].detected_at == MINUTE + LATENESS


def test_maintenance_holds_it_down_to_info() -> None:
    events, _, _ = play([True, True], suppressed=("c-1",))
    assert {(e.severity, e.paged_at, e.suppressed_by) for e in events} == {("info", None, ("c-1",))}


def test_refreshes_keep_to_one_a_minute() -> None:
    lifecycle = Lifecycle(LifecycleSettings(), LATENESS, "hash")
    told = [
        len(lifecycle.step(second, second + 10_000, [finding(True, observed=0.22)], lambda *_: ())[0])
        for second in range(0, 180_000, 10_000)
    ]
    assert sum(told) == 3


def test_the_end_writes_what_was_not_told_and_resolves_nothing() -> None:
    _, _, lifecycle = play([True])
    lifecycle.step(MINUTE, MINUTE + 10_000, [finding(True)], lambda *_: ())
    last = lifecycle.finish(MINUTE + 10_000)
    assert [(e.revision, e.status, e.window_end) for e in last] == [(1, "firing", MINUTE + 10_000)]
    assert lifecycle.finish(MINUTE + 10_000) == []


def test_a_summary_says_what_moved_how_far_and_for_whom() -> None:
    events, _, _ = play([True])
    assert events[0].summary == "TTFT p95 860 ms, 4.1x baseline on chat-api v2 (eu-west1)"


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=60), st.integers(0, 59))
def test_a_restored_lifecycle_goes_on_as_if_never_stopped(pattern: list[bool | None], cut: int) -> None:
    whole, _, _ = play(pattern, clear=2, cooldown_s=180)
    before, _, lifecycle = play(pattern[:cut], clear=2, cooldown_s=180)
    restored = Lifecycle(lifecycle.settings, LATENESS, "hash")
    restored.restore(lifecycle.snapshot())
    for minute, what in enumerate(pattern[cut:], start=min(cut, len(pattern))):
        findings = [] if what is None else [finding(what)]
        before += restored.step(minute * MINUTE, (minute + 1) * MINUTE, findings, lambda *_: ())[0]
    assert before == whole


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=80))
def test_revisions_of_an_event_rise_by_one_and_windows_never_shrink(pattern: list[bool | None]) -> None:
    events, _, _ = play(pattern, clear=2, cooldown_s=300)
    for name in {event.event_id for event in events}:
        mine = [event for event in events if event.event_id == name]
        assert [event.revision for event in mine] == list(range(len(mine)))
        ends = [event.window_end for event in mine]
        assert ends == sorted(ends)
        assert len({(event.window_start, event.detected_at, event.fingerprint) for event in mine}) == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_series_changes_nothing(seed: int) -> None:
    keys = [KEY._replace(slice=(("service", f"s{n}"),)) for n in range(6)]
    findings = [finding(True)._replace(key=key) for key in keys]
    orders = [findings, random.Random(seed).sample(findings, 6)]
    told = [
        sorted(repr(e) for e in Lifecycle(LifecycleSettings(), 0, "").step(0, MINUTE, f, lambda *_: ())[0])
        for f in orders
    ]
    assert told[0] == told[1]
