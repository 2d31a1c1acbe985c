"""What people are told of a series names a unit that fits its statistic."""

import re
from collections.abc import Iterator

import pytest

from operators.lifecycle.meaning import unit
from operators.lifecycle.summary import summary
from operators.series import SeriesKey
from operators.shard.catalogue import Base
from operators.shard.statistics import OUTCOMES
from schemas.signals import SIGNALS
from schemas.topics import INPUT_TOPICS

ATTRIBUTES = ("", "timeout", "length", "share:Arabic", "present:Arabic", "gpu", "xid", "thermal")
#: Of a statistic without its attribute: how often something is, or a part of a whole.
RATES = {"rate"}
PARTS = {"ratio", "share", "present", "completed", "received"}
#: What stands behind the figures of each unit.
SHOWN = {"s": " s", "1/s": "/s", "1": "", "W": " W", "Cel": " °C", "Hz": " MHz", "s/s": " s/s"}


def every_series() -> Iterator[SeriesKey]:
    for topic in INPUT_TOPICS:
        for signal, its in SIGNALS.items():
            for attribute in ATTRIBUTES if its.by_attribute or signal in OUTCOMES else ("",):
                yield from Base(topic, signal, attribute, (("service", "chat"),)).series()


@pytest.mark.parametrize("statistic", sorted({key.statistic.partition(":")[0] for key in every_series()}))
def test_figures_are_in_the_unit_of_their_statistic(statistic: str) -> None:
    keys = [key for key in every_series() if key.statistic.partition(":")[0] == statistic]
    for key in keys:
        told = summary(key, "drift", 0.48e6, 0.6e6)
        figures = r"\S+?" + re.escape(SHOWN[unit(key)])
        assert re.search(rf" {figures}, baseline {figures} on chat$", told), told
        if statistic in PARTS:
            assert unit(key) == "1", key
        elif statistic in RATES:
            assert unit(key) in ("1/s", "s/s"), key
        else:
            assert unit(key) == SIGNALS[key.signal].unit, key


def test_a_share_is_told_as_one() -> None:
    keys = Base("telemetry.requests.v1", "gen_ai.server.completions", "", (("service", "chat"),)).series()
    told = [summary(key, "degradation", 0.48, 0.61) for key in keys]
    assert told == [
        "completions rate 0.48/s, baseline 0.61/s on chat",
        "completed share of arrivals 0.48, baseline 0.61 on chat",
    ]
