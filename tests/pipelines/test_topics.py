"""The declared topics, and how a broker's differ (`compare`: the mock broker has no admin interface)."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.dead_letters import DeadLetter
from operators.sinks.dead_letters import dlq_topic
from operators.sinks.files import ANOMALIES, INCIDENTS
from pipelines.topics import Difference, Found, compare, list_topics
from schemas.json_schema import STRUCTS
from schemas.topics import INPUT_TOPICS, OUTPUT_TOPICS, TOPICS
from schemas.wire import TOPICS as DECODED


def as_declared() -> dict[str, Found]:
    return {topic: Found(spec.partitions, spec.config) for topic, spec in TOPICS.items()}


def test_what_is_declared_is_what_the_code_reads_and_writes() -> None:
    assert set(INPUT_TOPICS) == set(DECODED)
    assert set(OUTPUT_TOPICS) == {ANOMALIES, INCIDENTS}
    assert set(STRUCTS) <= set(TOPICS)
    letter = DeadLetter("r", "d", INPUT_TOPICS[0], "p", 0, 0, "")
    assert dlq_topic(letter.topic) in TOPICS


def test_every_input_has_its_dead_letters() -> None:
    directions = {row.topic: row.direction for row in list_topics()}
    assert {f"{topic}.dlq" for topic in INPUT_TOPICS} == {t for t, d in directions.items() if d == "dlq"}
    assert "{" not in TOPICS["otlp_spans.dlq"].description


def test_incidents_are_compacted_and_kept() -> None:
    config = TOPICS["incidents.v1"].config
    assert (config["cleanup.policy"], config["retention.ms"]) == ("compact", "-1")


def test_a_broker_as_declared_differs_in_nothing() -> None:
    assert compare(TOPICS, as_declared()) == []


@given(st.sets(st.sampled_from(sorted(TOPICS))))
def test_every_missing_topic_is_named_once(missing: set[str]) -> None:
    found = {topic: has for topic, has in as_declared().items() if topic not in missing}
    assert {row.topic for row in compare(TOPICS, found)} == missing
    assert len(compare(TOPICS, found)) == len(missing)


@pytest.mark.parametrize(
    ("partitions", "config", "differences"),
    [
        (99, {}, []),
        (0, {}, [("partitions", "1", "0")]),
        (1, {"cleanup.policy": "delete"}, [("cleanup.policy", "compact", "delete")]),
        (1, {"retention.ms": ""}, [("retention.ms", "-1", "")]),
    ],
)
def test_each_way_to_differ_is_told(
    partitions: int, config: Mapping[str, str], differences: list[tuple[str, str, str]]
) -> None:
    spec = TOPICS["incidents.v1"]
    found = {"incidents.v1": Found(partitions, spec.config | dict(config))}
    told = [Difference("incidents.v1", *difference) for difference in differences]
    assert compare({"incidents.v1": spec}, found) == told
