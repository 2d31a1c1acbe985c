"""The page on observability says what the code does."""

import re
from typing import get_args

import yaml

from operators.meters import METERS
from pipelines.observe.__main__ import PAGE, page
from pipelines.observe.health import State

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_table_is_as_declared() -> None:
    assert page(TEXT) == TEXT, "python -m pipelines.observe --write"
    assert all(f"| `{name}` |" in TEXT for name in METERS)


def test_every_state_is_explained() -> None:
    assert set(re.findall(r"^\| `([a-z_]+)` \| (?:yes|no) \|", TEXT, re.MULTILINE)) == set(get_args(State))


def test_alert_rules_ask_for_meters_and_labels_that_there_are() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (group,) = yaml.safe_load(block)["groups"]
    for rule in group["rules"]:
        asked = re.findall(r"(driftline_[a-z_]+)(?:\{([a-z]+)=)?", rule["expr"])
        assert asked
        for name, label in asked:
            assert name in METERS
            assert not label or label in METERS[name].labels
