"""The benchmark's short way to incidents gives those of the whole pipeline, store and sinks included."""

from pathlib import Path

import msgspec

from operators.correlation.engine import correlate
from operators.settings import Settings
from pipelines.config import resolve
from pipelines.engines.job import Job
from pipelines.engines.local import run
from pipelines.engines.outputs import open_store
from pipelines.evaluate.matching import Told, told
from pipelines.evaluate.recorded import incidents
from pipelines.evaluate.watch import Core
from pipelines.simulate import simulate


def test_what_is_watched_is_what_a_run_tells(tmp_path: Path) -> None:
    simulate(["P06:strong:duration=900"], 4, tmp_path / "in", format="arrow", warm_up_s=2700, quiet_s=60)
    resolved = resolve(
        None,
        input=str(tmp_path / "in"),
        output=str(tmp_path / "out"),
        clickhouse=f"chdb:{tmp_path / 'tables'}",
        engine="local",
        correlate_s=5.0,
    )
    run(Job(resolved, until_end=True))
    core = Core(resolved.settings)
    core.read(tmp_path / "in")
    recorded = told(incidents(tmp_path / "out"))
    assert recorded
    assert list(map(_scored, told(core.incidents()))) == list(map(_scored, recorded))
    with open_store(resolved) as store:
        assert correlate(store) == []  # all has been told


def test_a_topic_that_is_left_out_is_not_read(tmp_path: Path) -> None:
    simulate(["P06"], 4, tmp_path, format="arrow", warm_up_s=600, quiet_s=0)
    whole, part = (Core(Settings(shards=1)) for _ in range(2))
    whole.read(tmp_path)
    part.read(tmp_path, ("telemetry.requests.v1", "changes.v1"))
    topics = {base.topic for base in whole.shards[0].evaluation.catalogue.bases}
    assert {base.topic for base in part.shards[0].evaluation.catalogue.bases} == topics - {
        "telemetry.requests.v1"
    }


def _scored(one: Told) -> dict[str, object]:
    """All that scoring looks at."""
    body = msgspec.json.decode(msgspec.json.encode(one.last))
    return {
        "id": one.incident_id,
        "detected": one.detected_at,
        "paged": one.paged_at,
        "severity": one.severity,
        "merged": one.merged,
        "identity": dict(one.raised_identity),
        **{name: body.get(name) for name in ("symptom", "layer", "action", "root", "signals", "event_ids")},
    }
