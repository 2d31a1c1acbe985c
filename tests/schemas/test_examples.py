"""Every example record is what its schema says, and decodes without a refusal."""

import json
from pathlib import Path

import jsonschema
import pytest

from schemas.json_schema import STRUCTS, schema
from schemas.topics import INPUT_TOPICS, OUTPUT_TOPICS
from schemas.wire import decode

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"


def records(topic: str) -> list[bytes]:
    files = sorted((EXAMPLES / topic).iterdir())
    lines = [line for file in files if file.suffix == ".ndjson" for line in file.read_bytes().splitlines()]
    return [file.read_bytes() for file in files if file.suffix == ".json"] + lines


CASES = [
    (topic, value) for topic in (*INPUT_TOPICS, "anomalies.v1", "incidents.v1") for value in records(topic)
]


@pytest.mark.parametrize("topic", [*INPUT_TOPICS, *OUTPUT_TOPICS])
def test_each_topic_has_at_least_two_examples(topic: str) -> None:
    assert len(records(topic)) >= 2


@pytest.mark.parametrize(("topic", "value"), [case for case in CASES if case[0] in STRUCTS])
def test_examples_are_what_the_schema_says(topic: str, value: bytes) -> None:
    validator = jsonschema.Draft202012Validator(schema(topic), format_checker=jsonschema.FormatChecker())
    validator.validate(json.loads(value))


@pytest.mark.parametrize("topic", STRUCTS)
def test_schemas_refuse_what_the_structs_refuse(topic: str) -> None:
    validator = jsonschema.Draft202012Validator(schema(topic))
    record = json.loads(records(topic)[0])
    required = schema(topic)["$defs"][STRUCTS[topic].__name__]["required"]
    for field in required:
        assert not validator.is_valid({k: v for k, v in record.items() if k != field})


@pytest.mark.parametrize(("topic", "value"), [case for case in CASES if case[0] in INPUT_TOPICS])
def test_examples_decode(topic: str, value: bytes) -> None:
    decoded = decode(topic, value)
    assert decoded.refused == ()
    assert decoded.ignored == {}
    assert decoded.unknown_fields == {}
    assert decoded.accepted > 0
