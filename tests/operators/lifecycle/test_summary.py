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
COMPLETIONS, ERRORS = "gen_ai.server.completions", "gen_ai.server.errors"
FINISH, SCRIPT = "gen_ai.output.finish_reason_share", "gen_ai.output.script_share"
TTFT = "gen_ai.server.time_to_first_token"
#: What stands behind the figures of each unit.
SHOWN = {"s": " s", "1/s": "/s", "1": "", "W": " W", "Cel": " °C", "Hz": " MHz", "s/s": " %"}


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
        whole = SIGNALS[key.signal].kind == "ratio" or statistic in PARTS
        figures = r"[\d.,]+" + re.escape(" %" if whole else SHOWN[unit(key)])
        assert re.search(rf" {figures}, baseline {figures} on chat$", told), told
        if statistic in PARTS:
            assert unit(key) == "1", key
        elif statistic in RATES:
            assert unit(key) in ("1/s", "s/s"), key
        else:
            assert unit(key) == SIGNALS[key.signal].unit, key


def told(signal: str, attribute: str, statistic: str, observed: float, baseline: float) -> str:
    topic = "telemetry.gpu.v1" if signal.startswith("hw.") else "telemetry.requests.v1"
    (key,) = (
        key
        for key in Base(topic, signal, attribute, (("service", "chat"),)).series()
        if key.statistic.partition(":")[0] == statistic
    )
    return summary(key, "degradation", observed, baseline)


@pytest.mark.parametrize(
    ("signal", "attribute", "statistic", "observed", "baseline", "line"),
    [
        (COMPLETIONS, "", "rate", 0.48, 0.61, "completions 0.48/s, baseline 0.61/s"),
        (
            COMPLETIONS,
            "",
            "completed",
            0.48,
            0.61,
            "completed share of arrivals 48 %, baseline 61 %",
        ),
        (TTFT, "", "p95", 0.86, 0.21, "TTFT p95 860 ms, 4.1x baseline"),
        (TTFT, "", "p95", 2.1, 1.5, "TTFT p95 2.1 s, baseline 1.5 s"),
        ("gen_ai.usage.input_tokens", "", "mean", 1012.0, 4400.0, "input tokens 1,012, baseline 4,400"),
        (
            ERRORS,
            "rate_limited",
            "share",
            0.14,
            1e-6,
            "rate limited errors 14 %, baseline ~0 %",
        ),
        (
            FINISH,
            "length",
            "share",
            0.5,
            0.03,
            "finish reason length 50 %, 17x baseline",
        ),
        (
            FINISH,
            "stop",
            "share",
            0.7,
            0.93,
            "finish reason stop 70 %, baseline 93 %",
        ),
        (
            SCRIPT,
            "present:Thai",
            "present",
            0.03,
            0.0,
            "Thai script in answers 3 %, baseline 0 %",
        ),
        (SCRIPT, "share:Han", "share", 0.4, 0.3, "Han script 40 %, baseline 30 %"),
        ("hw.temperature", "gpu", "mean", 70.5, 65.0, "GPU temperature 70.5 °C, baseline 65 °C"),
        ("hw.errors", "xid", "rate", 1 / 60, 0.0, "XID hardware errors 1/min, baseline 0/min"),
        ("hw.gpu.throttle_time", "thermal", "rate", 0.1, 0.0, "thermal throttling 10 %, baseline 0 %"),
    ],
)
def test_a_line_says_what_a_person_would(
    signal: str, attribute: str, statistic: str, observed: float, baseline: float, line: str
) -> None:
    assert told(signal, attribute, statistic, observed, baseline) == f"{line} on chat"
