"""Grouping, localisation, suspects and advice on hand-made episodes."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.correlation.episodes import Episode, Topology
from operators.correlation.grouping import group
from operators.correlation.incidents import Context, as_of_now, first_id, moved_prompts, paged_at, tell
from operators.correlation.localise import localise
from operators.correlation.suspects import Change, rank

MINUTE = 60_000
T0 = 1_767_571_200_000
BASE = {"service": "chat-api", "request_model": "llama-70b", "service_version": "v1"}
TOPOLOGY = Topology.of(
    [(f"replica:r{i}", f"node:n{i // 2}") for i in range(8)]
    + [(f"replica:r{i}", f"region:{'eu' if i < 4 else 'us'}") for i in range(8)]
    + [(f"gpu:G{i}", f"replica:r{i}") for i in range(8)]
)


def episode(
    number, signal, start, *, minutes=20, severity="warning", status="resolved", symptom=None, **identity
):
    start = T0 + start * MINUTE
    end = start + minutes * MINUTE
    detected = start + 90_000
    return Episode(
        event_id=UUID(int=number),
        fingerprint=f"{number:016x}",
        topic="telemetry.requests.v1",
        signal=signal,
        statistic="p95",
        side="",
        kind="degradation",
        status=status,
        severity=severity,
        symptom=symptom or "performance_degradation",
        start=start,
        end=end,
        detected=detected,
        paged=None if severity == "info" else detected,
        updated=end + 30_000,
        score=6.0,
        baseline=1.0,
        observed=2.0,
        identity=BASE | identity,
    )


TPOT = "gen_ai.server.time_per_output_token"
TTFT = "gen_ai.server.time_to_first_token"
DURATION = "gen_ai.server.request.duration"


def incident(found, changes=(), now=T0 + 600 * MINUTE):
    context = Context(TOPOLOGY, changes, now)
    return as_of_now(found, context, first_id(found))


def test_a_hot_gpu_and_its_slow_replica_are_one_incident_that_names_the_device():
    (found,) = group(
        [
            episode(1, "hw.gpu.throttle_time", 0, gpu="G3"),
            episode(2, "hw.gpu.sm_clock", 0, gpu="G3"),
            episode(3, TPOT, 1, replica="r3"),
            episode(4, DURATION, 2),
        ],
        TOPOLOGY,
    )
    told = incident(found)
    assert told.layer == "hardware"
    assert told.action == "drain_node"
    assert told.root is not None
    assert told.root["gpu"] == "G3"
    assert told.root["replica"] == "r3"
    assert told.identity == BASE
    assert told.status == "resolved"


def test_two_replicas_at_different_times_are_two_incidents_even_under_a_service_wide_one():
    found = group(
        [
            episode(1, TPOT, 0, minutes=90, replica="r1"),
            episode(2, DURATION, 3, minutes=90),
            episode(3, TTFT, 60, replica="r6"),
        ],
        TOPOLOGY,
    )
    assert [sorted(m.event_id.int for m in g.members) for g in found] == [[1, 2], [3]]


def test_faults_on_two_platforms_stay_two_incidents():
    found = group(
        [
            episode(1, TPOT, 0, replica="r1"),
            episode(2, TPOT, 1, replica="r2"),
            episode(3, TTFT, 9, replica="r6"),
        ],
        TOPOLOGY,
    )
    assert [sorted(m.event_id.int for m in g.members) for g in found] == [[1, 2], [3]]


def test_the_same_signal_on_many_replicas_at_one_moment_is_one_incident_of_the_service():
    (found,) = group([episode(i, TTFT, 0, replica=f"r{i}") for i in range(8)], TOPOLOGY)
    assert "replica" not in localise(found, TOPOLOGY)


def test_siblings_in_one_region_have_the_region_as_root():
    (found,) = group([episode(i, TTFT, 0, replica=f"r{i}") for i in range(4)], TOPOLOGY)
    assert localise(found, TOPOLOGY)["region"] == "eu"


def test_a_place_that_shows_no_more_than_the_whole_is_not_singled_out():
    moved = [
        episode(1, ANSWERS, 0, route="default"),
        episode(2, ANSWERS, 0),
        episode(3, ANSWERS, 1, replica="r1"),
    ]
    (found,) = group(moved, TOPOLOGY)
    assert localise(found, TOPOLOGY) == BASE | {"replica": "r1", "node": "n0"}
    long = [replace(moved[0], severity="error", identity=BASE | {"route": "long"}), *moved[1:]]
    assert localise(group(long, TOPOLOGY)[0], TOPOLOGY) == BASE | {"replica": "r1", "node": "n0"}


def test_what_began_together_is_one_incident_however_large_another_is():
    faint = [episode(i, TPOT, 0, severity="info", minutes=60, replica="r1") for i in range(1, 5)]
    moved = [episode(5, ANSWERS, 10, region="eu"), episode(6, ANSWERS, 11, region="us")]
    assert [sorted(m.event_id.int for m in g.members) for g in group([*faint, *moved], TOPOLOGY)][-1][
        -2:
    ] == [5, 6]


def test_quiet_between_makes_two_incidents_and_the_same_series_reopens_one():
    far = [episode(1, TTFT, 0), episode(2, DURATION, 90)]
    assert len(group(far, TOPOLOGY)) == 2
    again = [episode(1, TTFT, 0), replace(episode(2, TTFT, 40), fingerprint=f"{1:016x}")]
    assert len(group(again, TOPOLOGY)) == 1


@given(st.permutations(range(10)))
def test_groups_do_not_depend_on_the_order_of_reading(order):
    episodes = [
        episode(i, (TTFT, TPOT, DURATION)[i % 3], (i * 7) % 50, **({"replica": f"r{i % 4}"} if i % 2 else {}))
        for i in range(10)
    ]
    expected = group(episodes, TOPOLOGY)
    found = group([episodes[i] for i in order], TOPOLOGY)
    assert [g.members for g in found] == [g.members for g in expected]


def prompt_change(at, **target):
    return Change(
        "chg-1",
        "prompt",
        "succeeded",
        T0 + at * MINUTE,
        False,
        "p2",
        {"service": "chat-api"} | target,
    )


def test_a_prompt_change_just_before_changed_answers_is_reverted():
    (found,) = group(
        [
            episode(1, "gen_ai.output.finish_reason_share", 5, symptom="invalid_inference"),
            episode(2, "gen_ai.output.embedding", 5, symptom="invalid_inference"),
            episode(3, DURATION, 6),
        ],
        TOPOLOGY,
    )
    told = incident(found, [prompt_change(3)])
    assert (told.symptom, told.layer, told.action, told.action_ref) == (
        "invalid_inference",
        "operations",
        "revert_prompt",
        "chg-1",
    )
    assert told.suspects[0].reasons


def test_without_a_change_the_version_is_pinned_and_no_suspect_is_made_up():
    (found,) = group(
        [
            episode(1, "gen_ai.output.embedding", 5, symptom="invalid_inference"),
            episode(2, "gen_ai.usage.output_tokens", 5, symptom="invalid_inference"),
            episode(3, "gen_ai.canary.score", 5, symptom="invalid_inference"),
        ],
        TOPOLOGY,
    )
    told = incident(found)
    assert (told.action, told.suspects) == ("pin_version", ())


@pytest.mark.parametrize(
    ("telling", "observed", "layer", "action"),
    [
        ("gen_ai.server.prefix_cache_hit_ratio", 2.0, "operations", "disable_cache"),
        ("gen_ai.usage.input_tokens", 0.4, "operations", "inform"),
        ("gen_ai.output.entropy", 2.0, "model", "re_evaluate"),
    ],
)
def test_what_moves_beside_changed_answers_says_what_to_do(telling, observed, layer, action):
    beside = replace(episode(2, telling, 5, severity="info"), observed=observed)
    (found,) = group([episode(1, ANSWERS, 5, symptom="invalid_inference"), beside], TOPOLOGY)
    told = incident(found)
    assert (told.symptom, told.layer, told.action) == ("invalid_inference", layer, action)


def test_wrong_answers_of_one_replica_are_its_machine_unless_software_says_otherwise():
    canary = episode(1, "gen_ai.canary.match_ratio", 5, symptom="invalid_inference", replica="r1")
    (found,) = group([canary], TOPOLOGY)
    assert (incident(found).layer, incident(found).action) == ("hardware", "drain_node")
    nans = episode(2, "gen_ai.output.nan_count", 5, symptom="invalid_inference", replica="r1")
    (found,) = group([canary, nans], TOPOLOGY)
    assert (incident(found).layer, incident(found).action) == ("model", "restart_replica")


def test_a_sign_that_wakes_nobody_does_not_outvote_what_does():
    timeouts = episode(1, "gen_ai.server.timeouts", 5)
    around = episode(2, "gen_ai.output.entropy", 5, severity="info", symptom="invalid_inference")
    (found,) = group([timeouts, around], TOPOLOGY)
    assert incident(found).symptom == "performance_degradation"


def test_a_moved_input_never_pages_and_is_called_robustness():
    (found,) = group(
        [
            episode(1, "gen_ai.prompt.embedding", 0, symptom="input_shift"),
            episode(2, "gen_ai.output.embedding", 0, symptom="invalid_inference"),
        ],
        TOPOLOGY,
    )
    told = incident(found)
    assert (told.symptom, told.failure_kind, told.severity, told.paged_at) == (
        "input_shift",
        "robustness",
        "info",
        None,
    )


@pytest.mark.parametrize(
    ("target", "fits"),
    [
        ({"replica": "r3"}, True),
        ({"replica": "r4"}, False),
        ({"service": "other"}, False),
        ({"region": "us"}, False),
    ],
)
def test_a_change_elsewhere_is_no_suspect(target, fits):
    affected = BASE | {"replica": "r3", "region": "eu"}
    change = Change("c", "config", "succeeded", T0, False, "", {"service": "chat-api"} | target)
    assert bool(rank([change], T0 + 5 * MINUTE, affected)) is fits


def test_a_change_after_the_onset_or_hours_before_is_no_suspect():
    for at in (20, -180):
        assert not rank([prompt_change(at)], T0, BASE)


ANSWERS, QUESTIONS = "gen_ai.output.embedding", "gen_ai.prompt.embedding"
LATER = T0 + 600 * MINUTE


def test_faint_signs_are_told_and_wake_nobody():
    signals = (TTFT, TPOT, "gen_ai.server.queue_time", DURATION)
    members = [episode(i, signal, 4 * i, severity="info") for i, signal in enumerate(signals)]
    (found,) = group(members, TOPOLOGY)
    assert {(t.severity, t.paged_at) for t in tell(found, Context(TOPOLOGY, (), LATER))} == {("info", None)}


def test_moved_answers_page_once_they_have_lasted():
    (found,) = group([episode(1, ANSWERS, 0, symptom="invalid_inference")], TOPOLOGY)
    opened, raised, _ = tell(found, Context(TOPOLOGY, (), LATER))
    assert (opened.severity, raised.severity) == ("info", "warning")
    assert raised.paged_at == found.members[0].detected + 8 * MINUTE


@pytest.mark.parametrize(("minutes", "pages"), [(100, False), (140, True)])
def test_what_an_hour_said_of_answers_is_said_again_before_it_pages(minutes, pages):
    answers = episode(1, ANSWERS, 0, minutes=minutes, symptom="invalid_inference")
    answers = replace(answers, detected=answers.start + 61 * MINUTE, paged=answers.start + 76 * MINUTE)
    (found,) = group([answers], TOPOLOGY)
    wanted = answers.start + 122 * MINUTE if pages else None
    assert paged_at(found, T0 + 600 * MINUTE, Context(TOPOLOGY, (), T0)) == wanted


def test_moved_answers_do_not_page_when_questions_moved_before_they_had_lasted():
    answers = episode(1, ANSWERS, 0, symptom="invalid_inference", replica="r1")
    questions = episode(2, QUESTIONS, 5, severity="info", symptom="input_shift", replica="r6")
    found = group([answers, questions], TOPOLOGY)
    context = Context(TOPOLOGY, (), LATER, moved_prompts(found))
    assert {version.paged_at for each in found for version in tell(each, context)} == {None}


def test_questions_that_moved_hours_before_do_not_excuse_moved_answers():
    answers = episode(1, ANSWERS, 90, symptom="invalid_inference")
    questions = episode(2, QUESTIONS, 0, minutes=120, severity="info", symptom="input_shift")
    found = group([answers, questions], TOPOLOGY)
    context = Context(TOPOLOGY, (), LATER, moved_prompts(found))
    assert answers.detected + 8 * MINUTE in {v.paged_at for each in found for v in tell(each, context)}


def test_faintly_moved_answers_page_after_a_change():
    faint = replace(episode(1, ANSWERS, 5, severity="info", symptom="invalid_inference"), score=7.0)
    (found,) = group([faint], TOPOLOGY)
    assert paged_at(found, LATER, Context(TOPOLOGY, (), LATER)) is None
    context = Context(TOPOLOGY, (prompt_change(3),), LATER)
    assert paged_at(found, LATER, context) == faint.detected + 8 * MINUTE


@pytest.mark.parametrize(
    ("score", "target", "pages"), [(12.0, "r1", True), (12.0, None, False), (6.0, "r1", False)]
)
def test_after_a_change_to_one_place_what_is_plain_there_lends_weight_to_moved_answers(score, target, pages):
    faint = replace(
        episode(1, ANSWERS, 5, severity="info", symptom="invalid_inference", replica="r1"), score=5.5
    )
    fewer = replace(episode(2, "gen_ai.usage.input_tokens", 5, severity="info", replica="r1"), score=score)
    (found,) = group([faint, fewer], TOPOLOGY)
    change = prompt_change(3, **({} if target is None else {"replica": target}))
    assert (paged_at(found, LATER, Context(TOPOLOGY, (change,), LATER)) is not None) is pages


def test_what_got_faster_is_no_trouble():
    moved = replace(episode(1, ANSWERS, 0, symptom="invalid_inference"), score=5.0)
    faster = [
        replace(episode(i, signal, 0, severity="info"), observed=0.5)
        for i, signal in enumerate((TTFT, TPOT), 2)
    ]
    assert incident(group([moved, *faster], TOPOLOGY)[0]).symptom == "invalid_inference"
    slower = [
        replace(each, observed=2.0, severity="error", paged=each.detected, score=12.0) for each in faster
    ]
    assert incident(group([moved, *slower], TOPOLOGY)[0]).symptom == "performance_degradation"


def test_a_change_to_one_place_begins_an_incident_of_its_own():
    members = [episode(1, TTFT, 0), episode(2, "gen_ai.output.entropy", 12, region="us")]
    assert len(group(members, TOPOLOGY)) == 1
    assert len(group(members, TOPOLOGY, [prompt_change(11, region="us")])) == 2
    assert len(group(members, TOPOLOGY, [prompt_change(11, region="eu")])) == 1


def test_the_change_to_blame_says_where_however_wide_its_effects_are_seen():
    (found,) = group([episode(1, "gen_ai.output.entropy", 5, symptom="invalid_inference")], TOPOLOGY)
    told = incident(found, [prompt_change(4, gpu_model="A100", prompt_version="p8")])
    assert told.identity == BASE | {"gpu_model": "A100"}
    assert told.root == BASE | {"gpu_model": "A100", "prompt_version": "p8"}
    told = incident(found, [prompt_change(4 - 110, gpu_model="A100")])
    assert told.identity == told.root == BASE  # too long ago to be blamed


def test_two_producers_with_one_wrong_clock_are_one_incident_of_their_node():
    edges = [("producer:r1", "node:n0"), ("producer:dcgm-n0", "node:n0"), ("producer:r4", "node:n2")]
    collector = [("producer:everything", "node:n0"), ("producer:everything", "node:n2")]
    topology = Topology.of([*edges, *collector])
    faults = [
        replace(episode(i, "producer.heartbeat", 0, symptom="telemetry_fault"), identity={"producer": name})
        for i, name in enumerate(("r1", "dcgm-n0", "r4", "everything"))
    ]
    groups = group(faults, topology)
    assert [[m.event_id.int for m in found.members] for found in groups] == [[0, 1], [2], [3]]


def test_load_at_few_replicas_is_sent_elsewhere():
    few = [episode(i, "gen_ai.server.requests_waiting", 0, replica=f"r{i}") for i in range(2)]
    (found,) = group(few, TOPOLOGY)
    assert incident(found).action == "reroute"
    assert incident(found).root["replica"] in ("r0", "r1")
    (found,) = group([*few, episode(9, "gen_ai.server.preemptions", 0)], TOPOLOGY)
    assert incident(found).action == "add_capacity"
    everywhere = [episode(i, "gen_ai.server.requests_waiting", 0, replica=f"r{i}") for i in range(8)]
    (found,) = group(everywhere, TOPOLOGY)
    assert incident(found).action == "add_capacity"


@pytest.mark.parametrize(
    ("rose", "fell", "replica"), [((0,), (1, 2, 3), "r0"), ((0, 1, 2, 3), (4, 5, 6), None)]
)
def test_a_replica_is_overloaded_where_load_went_to_fewer_than_it_came_from(rose, fell, replica):
    """Where half of them have more and half have less, answers take longer and nobody is to blame."""
    running = "gen_ai.server.requests_running"
    change = [(name, 2.0) for name in rose] + [(name, 0.5) for name in fell]
    members = [
        replace(episode(2 + place, running, 1, severity="info", replica=f"r{name}"), observed=observed)
        for place, (name, observed) in enumerate(change)
    ]
    (found,) = group([episode(1, DURATION, 0), *members], TOPOLOGY)
    assert localise(found, TOPOLOGY).get("replica") == replica


def test_one_faint_sign_is_an_event_but_no_incident():
    (found,) = group([episode(1, TTFT, 0, severity="info")], TOPOLOGY)
    assert list(tell(found, Context(TOPOLOGY, (), T0 + 600 * MINUTE))) == []


def test_suppressed_members_do_not_page():
    (found,) = group([replace(episode(1, TTFT, 0), suppressed=True)], TOPOLOGY)
    assert incident(found).severity == "info"


def route_change(at, **more):
    change = prompt_change(at, route="long", replica="r3")
    return replace(change, **{"change_type": "route"} | more)


@pytest.mark.parametrize(
    ("lengths", "arrivals", "more", "pages"),
    [
        (12.0, None, {}, True),
        (5.5, 5.5, {}, True),
        (5.5, None, {}, False),
        (None, 12.0, {}, False),
        (12.0, 12.0, {"expected": True}, False),
        (12.0, 12.0, {"change_type": "config"}, False),
        (12.0, 12.0, {"undoes": "another"}, False),
    ],
)
def test_a_route_that_gets_other_requests_than_before_pages_after_its_change(lengths, arrivals, more, pages):
    signs = (("gen_ai.usage.input_tokens", lengths), ("gen_ai.server.arrivals", arrivals))
    (found,) = group(
        [
            replace(episode(i, signal, 5, severity="info", route="long"), score=score)
            for i, (signal, score) in enumerate(signs)
            if score is not None
        ],
        TOPOLOGY,
    )
    later = replace(prompt_change(4, route="long"), change_id="later")
    for changes in ((route_change(3, **more),), (route_change(3, **more), later)):
        context = Context(TOPOLOGY, changes, LATER)
        assert (paged_at(found, LATER, context) is not None) is pages
        told = as_of_now(found, context, first_id(found))
        assert not pages or (told.symptom, told.action_ref) == ("invalid_inference", "chg-1")


@pytest.mark.parametrize(
    ("target", "observed", "pages"),
    [({"gpu_model": "A100"}, 2.0, True), ({"gpu_model": "A100"}, 0.5, False), ({}, 2.0, False)],
)
def test_a_foreign_script_pages_after_a_change_to_its_platform(target, observed, pages):
    topology = Topology.of(
        [*((f"replica:r{i}", "gpu_model:A100") for i in range(4)), ("replica:r5", "gpu_model:H100")]
    )
    script = episode(
        1, "gen_ai.output.script_share", 5, severity="info", symptom="invalid_inference", replica="r1"
    )
    (found,) = group([replace(script, observed=observed)], topology)
    context = Context(topology, (prompt_change(3, **target),), LATER)
    assert (paged_at(found, LATER, context) is not None) is pages
    (elsewhere,) = group([replace(script, identity=BASE | {"replica": "r5"})], topology)
    assert paged_at(elsewhere, LATER, context) is None


@pytest.mark.parametrize(
    ("first", "minutes", "beside", "pages"),
    [
        ({"statistic": "p50"}, 12, (), True),
        ({"statistic": "p50"}, 2, (), False),
        ({"statistic": "p50"}, 45, (), False),
        ({"statistic": "p50", "score": 6.0}, 12, (), False),
        ({"statistic": "p50", "observed": 1.1}, 12, (), False),
        ({}, 12, (), False),
        ({"identity": BASE}, 12, (), True),
        ({"identity": BASE | {"replica": "r2"}}, 12, (), False),
        ({"statistic": "p50"}, 12, ("gen_ai.server.requests_waiting",), False),
    ],
)
def test_a_pace_that_comes_and_goes_at_one_replica_pages(first, minutes, beside, pages):
    wave = replace(episode(1, TPOT, 0, minutes=60, severity="info", replica="r1"), score=8.0)
    again = replace(episode(2, TPOT, minutes, minutes=60, severity="info", replica="r1"), score=8.0)
    loaded = [episode(3, signal, 0, severity="info", replica="r1") for signal in beside]
    groups = group([replace(wave, **first), again, *loaded], TOPOLOGY)
    told = [incident(each) for each in groups]
    assert any(each.paged_at is not None for each in told) is pages
    assert not pages or (told[0].root or {})["node"] == "n0"


def test_a_device_that_only_gets_warm_does_somebodys_work():
    slow, warm = episode(1, TPOT, 0, replica="r1"), episode(2, "hw.temperature", 0, gpu="G1")
    assert incident(group([slow, warm], TOPOLOGY)[0]).layer == "operations"
    clock = episode(3, "hw.gpu.sm_clock", 0, gpu="G1")
    assert incident(group([slow, warm, clock], TOPOLOGY)[0]).layer == "hardware"


def test_what_is_too_faint_to_page_blames_neither_a_change_nor_a_machine():
    faint = replace(
        episode(1, ANSWERS, 5, severity="info", symptom="invalid_inference", replica="r1"), score=5.5
    )
    (found,) = group([faint], TOPOLOGY)
    told = incident(found, [prompt_change(3, replica="r1")])
    assert (told.severity, told.layer, told.action) == ("info", "model", "re_evaluate")
    assert [suspect.change_id for suspect in told.suspects] == ["chg-1"]


def test_a_whole_service_that_answers_in_another_script_was_asked_in_another_language():
    def scripts(severity="info", **place):
        share = episode(
            1, "gen_ai.output.script_share", 5, severity=severity, symptom="invalid_inference", **place
        )
        return incident(group([replace(share, statistic="share:Hiragana", score=12.0)], TOPOLOGY)[0]).symptom

    assert scripts() == "input_shift"
    assert scripts(replica="r1") == scripts("warning") == "invalid_inference"


def test_a_reversal_is_mentioned_and_never_acted_on():
    changed = episode(1, "gen_ai.canary.score", 5, symptom="invalid_inference")
    (found,) = group([changed], TOPOLOGY)
    told = incident(found, [replace(prompt_change(3), undoes="another")])
    assert [suspect.change_id for suspect in told.suspects] == ["chg-1"]
    assert told.action == "pin_version"
    assert incident(found, [prompt_change(3)]).action == "revert_prompt"


def test_the_producer_of_what_is_silent_is_named_where_it_speaks_for_that_alone():
    silent = [
        episode(i, "gen_ai.server.completions", 0, symptom="telemetry_fault", replica=f"r{i}") for i in (0, 1)
    ]
    both, one = group(silent, TOPOLOGY), group(silent[:1], TOPOLOGY)

    def producer(found, *edges):
        topology = Topology.of([("replica:r0", "node:n0"), ("replica:r1", "node:n0"), *edges])
        told = as_of_now(found[0], Context(topology, (), LATER), first_id(found[0]))
        return told.root.get("producer"), told.action_ref

    assert producer(one, ("producer:p0", "replica:r0")) == ("p0", "p0")
    assert producer(one, ("producer:p0", "replica:r0"), ("producer:p0", "replica:r1"))[0] is None
    assert producer(one, ("producer:p0", "replica:r0"), ("producer:p1", "replica:r0"))[0] is None
    assert producer(both, ("producer:p0", "replica:r0"), ("producer:p0", "replica:r1"))[0] == "p0"


def test_more_that_comes_to_the_whole_service_is_no_skew():
    waits = [episode(i, "gen_ai.server.requests_waiting", 0, replica=f"r{i}") for i in range(2)]
    (found,) = group(waits, TOPOLOGY)
    assert incident(found).action == "reroute"
    (found,) = group([*waits, episode(5, "gen_ai.server.arrivals", 0)], TOPOLOGY)
    assert incident(found).action == "add_capacity"


def test_a_changed_route_does_not_take_over_what_a_later_change_explains_far_better():
    wrong = [episode(i, "gen_ai.canary.match_ratio", 61, symptom="invalid_inference") for i in (1, 2)]
    lengths = replace(episode(3, "gen_ai.usage.input_tokens", 61, severity="info", route="long"), score=12.0)
    (found,) = group([*wrong, lengths], TOPOLOGY)
    later = replace(prompt_change(60, request_model="llama-70b"), change_id="later")
    assert incident(found, [route_change(5), later]).action_ref == "later"
    assert incident(found, [route_change(57), later]).action_ref == "chg-1"
