"""Scoring is by incident: each rule of the benchmark, one small case at a time."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate.scoring import kappa, score
from pipelines.simulate.labels import Label
from schemas.outputs import Incident

MINUTE = 60_000
ONSET, END = 10 * MINUTE, 70 * MINUTE
WHERE = {"environment": "production", "cluster": "c1", "service": "chat", "replica": "r1"}


def label(**changes: Any) -> Label:
    fields = {
        "scenario": "P01",
        "seed": 1,
        "onset": ONSET,
        "end": END,
        "first_user_report": 40 * MINUTE,
        "symptom": ["performance_degradation"],
        "layer": ["hardware", "operations"],
        "failure_kind": ["reliability"],
        "expected_action": ["drain_node", "reroute"],
        "min_severity": "warning",
        "change_id": None,
        "shape": "step",
        "share": 1.0,
        "magnitude": "mid",
        "depth": 0.5,
        "identity": WHERE | {"gpu": ["g0", "g1"]},
        "root": {"gpu": "g0", "replica": "r1"},
        "must_stay_silent": [],
    }
    return Label(**(fields | changes))


def control(**changes: Any) -> Label:
    nothing = dict.fromkeys(
        ("symptom", "layer", "failure_kind", "expected_action", "root", "first_user_report")
    )
    return label(scenario="N7", **(nothing | {"must_stay_silent": [{}], "depth": 0.0} | changes))


def incident(at: int, *, number: int = 1, **changes: Any) -> dict[str, Any]:
    body = {
        "incident_id": str(UUID(int=number)),
        "version": 1,
        "status": "open",
        "severity": "error",
        "detected_at": at,
        "paged_at": at,
        "symptom": "performance_degradation",
        "layer": "hardware",
        "action": "drain_node",
        "identity": {"service": "chat", "replica": "r1"},
        "root": {"replica": "r1"},
        "signals": ["gen_ai.server.time_per_output_token"],
    }
    return body | changes


def scored(labels: list[Label], *incidents: dict[str, Any], **more: Any) -> dict[str, Any]:
    return score(labels, incidents, **({"days": 1.0, "series": 10} | more))


def test_a_page_between_onset_and_the_first_report_is_in_time() -> None:
    result = scored([label()], incident(20 * MINUTE))
    assert (result["in_time"], result["found"], result["false_pages"]) == (1.0, 1, 0)
    assert result["false_share"] == 0.0
    assert result["symptom_kappa"] == result["layer_kappa"] == 1.0
    assert result["action_right"] == result["root_right"] == 1.0


@pytest.mark.parametrize(
    ("at", "found", "in_time"),
    [
        (ONSET - 1, 0, 0.0),
        (ONSET, 1, 1.0),
        (40 * MINUTE - 1, 1, 1.0),
        (40 * MINUTE, 1, 0.0),
        (END + 10 * MINUTE, 1, 0.0),
        (END + 10 * MINUTE + 1, 0, 0.0),
    ],
)
def test_the_edges_of_time(at: int, found: int, in_time: float) -> None:
    result = scored([label()], incident(at))
    assert (result["found"], result["in_time"], result["false_pages"]) == (found, in_time, 1 - found)


@pytest.mark.parametrize(("at", "in_time"), [(END - 1, 1.0), (END, 0.0)])
def test_without_a_user_report_the_end_is_the_deadline(at: int, in_time: float) -> None:
    assert scored([label(first_user_report=None)], incident(at))["in_time"] == in_time


@pytest.mark.parametrize(
    ("identity", "found"),
    [
        ({"service": "chat"}, 1),
        ({"service": "chat", "replica": "r2"}, 0),
        ({"gpu": "g1"}, 1),
        ({"gpu": "g2", "service": "chat"}, 0),
        ({"environment": "production", "cluster": "c1"}, 0),
        ({"service": "chat", "environment": "staging"}, 0),
        ({"route": "long", "service": "chat"}, 1),
        ({}, 0),
    ],
)
def test_an_incident_shares_a_field_and_differs_in_none(identity: dict[str, str], found: int) -> None:
    assert scored([label()], incident(20 * MINUTE, identity=identity))["found"] == found


def test_what_it_was_when_raised_decides_and_the_last_version_answers() -> None:
    first = incident(20 * MINUTE, symptom="invalid_inference", root=None)
    last = incident(
        20 * MINUTE, version=2, identity={"service": "other"}, root={"gpu": "g1"}, status="resolved"
    )
    result = scored([label()], last, first)
    assert (result["found"], result["pages"]) == (1, 1)
    assert result["symptom_kappa"] == 1.0
    assert result["root_right"] == 0.0


def test_a_page_raised_later_than_its_incident_counts_from_the_page() -> None:
    quiet = incident(20 * MINUTE, severity="info", paged_at=None)
    loud = incident(20 * MINUTE, version=2, paged_at=45 * MINUTE)
    result = scored([label()], quiet, loud)
    assert (result["found"], result["in_time"]) == (1, 0.0)


def test_an_incident_that_never_pages_is_not_enough_for_a_warning() -> None:
    result = scored([label()], incident(20 * MINUTE, severity="info", paged_at=None))
    assert (result["found"], result["pages"], result["false_pages"]) == (0, 0, 0)
    assert result["info_incidents_per_day"] == 1.0


@pytest.mark.parametrize(("symptom", "found"), [("input_shift", 1), ("performance_degradation", 0)])
def test_an_info_label_takes_a_quiet_incident_that_names_its_symptom(symptom: str, found: int) -> None:
    wanted = label(min_severity="info", symptom=["input_shift"], must_stay_silent=[{}])
    quiet = incident(20 * MINUTE, severity="info", paged_at=None, symptom=symptom)
    assert scored([wanted], quiet)["found"] == found


def test_an_info_label_that_must_not_page_makes_the_page_false() -> None:
    wanted = label(min_severity="info", must_stay_silent=[{}])
    result = scored([wanted], incident(20 * MINUTE))
    assert (result["found"], result["false_pages"]) == (0, 1)


@pytest.mark.parametrize(
    ("matcher", "hit"),
    [
        ({}, True),
        ({"symptom": "performance_degradation"}, True),
        ({"symptom": "performance_degradation", "action": "reroute"}, False),
        ({"action": ["reroute", "drain_node"]}, True),
        ({"replica": ["r0", "r1"]}, True),
        ({"gpu_model": "H100"}, False),
        ({"signal": "gen_ai.server.time_per_output_token"}, True),
        ({"signal": ["hw.temperature", "hw.power"]}, False),
    ],
)
def test_what_must_stay_silent_makes_a_page_false(matcher: dict[str, Any], hit: bool) -> None:
    result = scored([label(must_stay_silent=[{"service": "elsewhere"}, matcher])], incident(20 * MINUTE))
    assert (result["found"], result["false_pages"]) == (0, 1) if hit else (1, 0)


def test_every_signal_of_a_page_must_be_listed_to_hit() -> None:
    both = incident(20 * MINUTE, signals=["hw.power", "hw.temperature"])
    silent = label(must_stay_silent=[{"signal": ["hw.power"]}])
    assert scored([silent], both)["found"] == 1


def test_of_several_labels_an_incident_belongs_to_the_latest() -> None:
    labels = [label(), label(scenario="P02", onset=15 * MINUTE)]
    result = scored(labels, incident(20 * MINUTE))
    assert (result["labels"], result["found"], result["in_time"]) == (2, 1, 0.5)


def test_several_pages_on_a_label_count_once_and_the_earliest_answers() -> None:
    late = incident(30 * MINUTE, number=1, layer="model", symptom="invalid_inference")
    early = incident(20 * MINUTE, number=2)
    result = scored([label()], late, early)
    assert (result["pages"], result["found"], result["false_share"]) == (2, 1, 0.0)
    assert result["symptom_kappa"] == 1.0


def test_a_page_merged_later_is_false_and_finds_nothing() -> None:
    result = scored([label()], incident(20 * MINUTE), incident(20 * MINUTE, version=2, status="merged"))
    assert (result["found"], result["false_pages"], result["false_share"]) == (0, 1, 1.0)


def test_pages_in_the_warm_up_and_on_controls_are_false() -> None:
    labels = [control(), label(onset=200 * MINUTE, end=210 * MINUTE, first_user_report=None)]
    result = scored(labels, incident(MINUTE), incident(20 * MINUTE, number=2), days=2.0, series=50)
    assert (result["labels"], result["false_pages"], result["in_time"]) == (1, 2, 0.0)
    assert result["false_pages_per_day"] == 1.0
    assert result["false_pages_per_series_day"] == pytest.approx(0.02)


def test_chance_is_what_the_twin_would_find_in_time() -> None:
    labels = [label(), label(scenario="P06", onset=300 * MINUTE, end=400 * MINUTE, first_user_report=None)]
    lucky = [incident(20 * MINUTE, number=7), incident(450 * MINUTE, number=8)]
    result = scored(labels, twin_incidents=lucky)
    assert (result["chance"], result["in_time"], result["pages"]) == (0.5, 0.0, 0)
    assert scored(labels)["chance"] is None


def test_another_accepted_answer_counts_as_the_first() -> None:
    second = label(layer=["model"], onset=300 * MINUTE, end=400 * MINUTE, first_user_report=None)
    labels = [label(), second]
    given_ = [incident(20 * MINUTE, layer="operations"), incident(301 * MINUTE, number=2, layer="model")]
    assert scored(labels, *given_)["layer_kappa"] == 1.0


def test_results_are_told_by_magnitude() -> None:
    labels = [label(magnitude="weak"), label(magnitude="strong", onset=300 * MINUTE, end=400 * MINUTE)]
    result = scored(labels, incident(20 * MINUTE))["by_magnitude"]
    assert result["weak"]["in_time"] == 1.0
    assert result["weak"]["median_delay_s"] == 600.0
    assert result["strong"]["in_time"] == 0.0
    assert result["mid"] == result["mid"] | {"labels": 0, "in_time": None}


def test_structs_and_wire_bodies_score_the_same() -> None:
    body = incident(20 * MINUTE)
    struct = Incident(
        **(body | {"incident_id": UUID(int=1), "signals": tuple(body["signals"])}),
        title="",
        started_at=0,
        last_seen_at=0,
        resolved_at=None,
        layer_probabilities={},
        failure_kind="reliability",
        confidence=1.0,
        action_reason="",
        action_ref=None,
        affected=(),
        first_affected={},
        event_ids=(),
        suspects=(),
        blast_radius={},
    )
    at = datetime.fromtimestamp(20 * MINUTE / 1000, UTC).isoformat().replace("+00:00", "Z")
    wire = body | {"detected_at": at, "paged_at": at}
    results = [score([label()], [each], days=1.0, series=1) for each in (body, wire, struct)]
    assert results[0] == results[1] == results[2]


def test_nothing_at_all_scores_nothing() -> None:
    result = scored([])
    assert result["in_time"] is None
    assert result["false_share"] is None
    assert result["symptom_kappa"] is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=30))
def test_kappa_is_one_exactly_when_all_agree_and_never_more(pairs: list[tuple[str, str]]) -> None:
    value = kappa(pairs)
    assert value is not None
    assert (value == 1.0) == all(truth == answer for truth, answer in pairs)
    assert value <= 1.0


def test_kappa_of_a_known_table() -> None:
    pairs = [("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15
    assert kappa(pairs) == pytest.approx(0.4)
