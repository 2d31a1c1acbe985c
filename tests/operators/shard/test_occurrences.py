"""Hardware errors of which one is enough."""

from operators.settings import Settings
from operators.shard import Shard
from tests.operators.shard.stream import START, deliveries

SETTINGS = Settings(shards=1)


def test_a_changed_xid_is_an_event_of_its_gpu_without_any_history() -> None:
    batches = [
        [
            {"event_time": START + time * 1000, "gpu": gpu, "xid": 63 if gpu == "B" and time >= 200 else 0}
            for time in range(minute * 60, minute * 60 + 60, 10)
            for gpu in ("A", "B")
        ]
        for minute in range(12)
    ]
    shard = Shard(0, SETTINGS)
    messages = deliveries(batches, SETTINGS, form="gpu", topic="telemetry.gpu.v1")
    emissions = [*[shard.receive(message) for message in messages], shard.finish()]
    events = [event for emission in emissions for event in emission.events]
    assert {(e.statistic, e.identity["gpu"], e.severity) for e in events} == {("rate:xid", "B", "error")}
    assert [event.status for event in events] == ["firing", "resolved"]
    assert events[0].window_start == START + 180_000
