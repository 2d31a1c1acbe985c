"""What a launcher tells of a job elsewhere: what its totals grew by, and that they stopped to grow."""

from operators import meters as of
from operators.adapters.figures import OUTPUTS
from pipelines.engines.counted import Counted
from pipelines.observe import Recorder
from schemas.rows import Count

T = "telemetry.requests.v1"


def value(recorder: Recorder, name: str, **labels: str) -> float | None:
    return recorder.registry.get_sample_value(name, labels)


def test_counters_follow_the_totals() -> None:
    recorder = Recorder()
    counted = Counted(recorder, idle_s=60)
    first = [
        Count(T, "accepted", "", 100),
        Count(T, "refused", "not_json", 3),
        Count(T, "late", "producer-7", 2),
        Count(T, "late", "producer-8", 1),
        Count(T, "unknown_field", "colour", 4),
        Count(OUTPUTS, "events", "performance", 1),
        Count(OUTPUTS, "series", "", 12),
    ]
    counted.tell(first, 0.0)
    counted.tell([Count(T, "accepted", "", 95), Count(T, "late", "after_idle", 5)], 10.0)
    counted.tell([Count(T, "accepted", "", 120), Count(OUTPUTS, "events", "performance", 2)], 20.0)
    assert value(recorder, "driftline_samples_total", topic=T, outcome="accepted", reason="") == 120
    assert value(recorder, "driftline_samples_total", topic=T, outcome="refused", reason="not_json") == 3
    assert value(recorder, "driftline_samples_total", topic=T, outcome="late", reason="") == 3
    assert value(recorder, "driftline_after_idle_total", topic=T) == 5
    assert value(recorder, "driftline_unknown_fields_total", topic=T) == 4
    assert value(recorder, "driftline_events_total", kind="performance") == 2
    assert value(recorder, "driftline_series", shard="all") == 12


def test_totals_that_stop_growing_are_no_data() -> None:
    recorder = Recorder()
    counted = Counted(recorder, idle_s=60)
    quiet = []
    for now, samples in ((0, 5), (40, 7), (90, 7), (101, 7), (110, 8)):
        counted.tell([Count(T, "accepted", "", samples)], float(now))
        quiet.append(recorder.value(of.NO_DATA))
    assert quiet == [0, 0, 0, 61, 0]
