"""Every declared meter is recorded and shown, under its own name and with its help."""

import re

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from operators.meters import METERS, Meter
from pipelines.observe import Recorder


def shown(recorder: Recorder) -> dict[str, object]:
    text = generate_latest(recorder.registry).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def tell(recorder: Recorder, meter: Meter, value: int) -> None:
    labels = [f"a {label}" for label in meter.labels]
    {"counter": recorder.add, "gauge": recorder.set, "histogram": recorder.observe}[meter.kind](
        meter, value, *labels
    )


@pytest.mark.parametrize("meter", METERS.values(), ids=METERS)
def test_a_meter_is_shown_as_it_is_declared(meter: Meter) -> None:
    recorder = Recorder()
    tell(recorder, meter, 7)
    tell(recorder, meter, 5)
    family = shown(recorder)[meter.name.removesuffix("_total")]
    assert (family.documentation, family.type) == (meter.help, meter.kind)
    suffix, value = {"counter": ("_total", 12), "gauge": ("", 5), "histogram": ("_sum", 12)}[meter.kind]
    labels = {label: f"a {label}" for label in meter.labels}
    assert (family.name + suffix, labels, value) in [sample[:3] for sample in family.samples]


@pytest.mark.parametrize("meter", METERS.values(), ids=METERS)
def test_names_are_as_prometheus_wants_them(meter: Meter) -> None:
    assert re.fullmatch(r"driftline_[a-z_]+[a-z]", meter.name)
    assert meter.name.endswith("_total") == (meter.kind == "counter")
    assert meter.help.endswith(".")
    assert bool(meter.buckets) == (meter.kind == "histogram")
    assert sorted(set(meter.buckets)) == list(meter.buckets)


def test_all_meters_are_there_before_anything_happened() -> None:
    assert {name.removesuffix("_total") for name in METERS} <= shown(Recorder()).keys()


def test_what_a_process_no_longer_knows_is_not_shown() -> None:
    recorder, lag = Recorder(), METERS["driftline_lag_records"]
    for partition in ("0", "1"):
        recorder.set(lag, 3, "t", partition)
    for _ in range(2):
        recorder.forget(lag, "t", "0")
    family = shown(recorder)["driftline_lag_records"]
    assert [sample.labels for sample in family.samples] == [{"topic": "t", "partition": "1"}]
    assert recorder.value(lag, "t", "0") is None
    assert recorder.value(lag, "t", "1") == 3
