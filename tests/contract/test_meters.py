"""One input, every engine: the same meters under the same names, the counts of what happened equal."""

from collections import Counter
from pathlib import Path
from typing import Any

import apache_beam
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from prometheus_client.parser import text_string_to_metric_families

from operators.adapters.acknowledge import Acknowledgements
from operators.adapters.beam.meters import NAMESPACE, BeamMeters
from operators.adapters.beam.process import forget, process
from operators.meters import METERS, Meter
from pipelines.config import Config, resolve
from pipelines.engines import beam, local
from pipelines.engines.job import Job
from pipelines.engines.outputs import Outputs, open_store
from pipelines.engines.report import Report
from tests.contract import recording

#: What follows from the input alone; how often sinks are flushed, say, does not.
COUNTED = (
    "records",
    "samples",
    "unknown_fields",
    "after_idle",
    "buckets",
    "windows",
    "events",
    "event_revisions",
)

Series = tuple[str, ...]


class Notebook:
    """Meters as they were told."""

    def __init__(self) -> None:
        self.counts: Counter[Series] = Counter()
        self.gauges: dict[Series, float] = {}
        self.observed: Counter[Series] = Counter()

    def add(self, meter: Meter, amount: int, *labels: str) -> None:
        assert amount > 0
        assert (meter.kind, len(labels)) == ("counter", len(meter.labels))
        self.counts[meter.name, *labels] += amount

    def set(self, meter: Meter, value: float, *labels: str) -> None:
        assert (meter.kind, len(labels)) == ("gauge", len(meter.labels))
        assert value == int(value)
        self.gauges[meter.name, *labels] = value

    def observe(self, meter: Meter, value: float, *labels: str) -> None:
        assert (meter.kind, len(labels)) == ("histogram", len(meter.labels))
        self.observed[meter.name, *labels] += 1

    def forget(self, meter: Meter, *labels: str) -> None:
        assert (meter.kind, len(labels)) == ("gauge", len(meter.labels))
        self.gauges.pop((meter.name, *labels), None)

    def names(self) -> "frozenset[str]":
        return frozenset(series[0] for told in (self.counts, self.gauges, self.observed) for series in told)


#: Told now and then by the wall clock: a short run may end before.
AT_MOMENTS = frozenset({"driftline_watermark_delay_seconds"})


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recording")
    recording.write(root)
    return root


def config(engine: str, recorded: Path, place: Path) -> Config:
    return resolve(
        input=str(recorded),
        output=str(place / "out"),
        clickhouse=f"chdb:{place / 'db'}",
        state=str(place / "state") if engine == "local" else None,
        engine=engine,
        correlate_s=60.0,
    )


def run(engine: Any, recorded: Path, place: Path) -> tuple[Report, Notebook]:
    told = Notebook()
    asked = config(engine.__name__.rpartition(".")[2], recorded, place)
    return engine.run(Job(asked, until_end=True, meters=told)), told


@pytest.fixture(scope="module")
def loop(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Notebook]:
    return run(local, recorded, tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="module")
def metrics(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What Beam itself says of the same."""
    asked = config("beam", recorded, tmp_path_factory.mktemp("beam"))
    here = process("metered")
    here.acknowledgements = Acknowledgements(asked.settings.shards)
    with open_store(asked) as store:
        here.outputs = Outputs(asked, store, meters=BeamMeters())
        pipeline = apache_beam.Pipeline(runner=FnApiRunner(), options=beam.options(asked))
        beam.build(pipeline, asked, "metered", until_end=True)
        result = pipeline.run()
        result.wait_until_finish()
        here.outputs.close()
    forget("metered")
    return result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))


def series(name: str) -> Series:
    """A Beam metric's name, read as the line of Prometheus that it is."""
    (family,) = text_string_to_metric_families(f"{name} 1\n")
    (sample,) = family.samples
    return (sample.name, *(sample.labels[label] for label in METERS[sample.name].labels))


def test_the_report_counts_the_same(loop: tuple[Report, Notebook]) -> None:
    report, told = loop
    samples: Counter[tuple[str, str]] = Counter()
    for (name, *labels), count in told.counts.items():
        if name == "driftline_samples_total":
            topic, outcome, _ = labels
            samples[topic, outcome] += count
    for topic, account in report.accounts.items():
        moved = told.counts["driftline_after_idle_total", topic]
        assert samples[topic, "accepted"] == account["accepted"] + moved
        assert samples[topic, "late"] == account["late"] - moved
        assert all(samples[topic, each] == account[each] for each in ("refused", "ignored", "duplicate"))
    assert {kind: told.counts["driftline_events_total", kind] for kind in report.events} == report.events
    assert told.counts["driftline_buckets_total",] == report.buckets
    assert sum(told.gauges["driftline_series", str(shard)] for shard in range(4)) == report.series
    assert all(told.gauges["driftline_state_bytes", str(shard)] > 1000 for shard in range(4))
    raised = sum(count for (name, *_), count in told.counts.items() if name == "driftline_incidents_total")
    assert raised >= sum(report.incidents.values()) > 0  # merged ones are not in the report


def test_beam_is_told_the_same_names_and_counts_the_same(
    loop: tuple[Report, Notebook], recorded: Path, tmp_path: Path
) -> None:
    told = run(beam, recorded, tmp_path)[1]
    assert told.names() - AT_MOMENTS == loop[1].names() - AT_MOMENTS
    assert counted(told.counts) == counted(loop[1].counts)


def test_beams_own_metrics_carry_the_same_names_and_counts(
    loop: tuple[Report, Notebook], metrics: Any
) -> None:
    told = loop[1]
    counters = {series(each.key.metric.name): each.committed for each in metrics["counters"]}
    assert counted(Counter(counters)) == counted(told.counts)
    distributions = {series(each.key.metric.name) for each in metrics["distributions"]}
    assert distributions == set(told.observed)
    gauges = {series(each.key.metric.name)[0] for each in metrics["gauges"]}
    # correlation is the launcher's, beside the pipeline
    beside = {"driftline_correlated_time_seconds"} | AT_MOMENTS
    assert gauges - AT_MOMENTS == {name for name, *_ in told.gauges} - beside


def counted(counts: Counter[Series]) -> Counter[Series]:
    return Counter(
        {
            place: count
            for place, count in counts.items()
            if place[0].removeprefix("driftline_").removesuffix("_total") in COUNTED
        }
    )
