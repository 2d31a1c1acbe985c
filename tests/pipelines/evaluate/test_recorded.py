"""What the pipeline's own sink wrote is read back and scored as it was."""

from pathlib import Path
from uuid import UUID

from operators.sinks import FileSink
from pipelines.evaluate.recorded import incidents
from pipelines.evaluate.scoring import judge
from pipelines.simulate import Label, simulate
from schemas.outputs import Incident


def raised(label: Label, after_ms: int) -> Incident:
    """An incident that answers a label rightly."""
    assert label.symptom
    assert label.layer
    assert label.expected_action
    at = label.onset + after_ms
    return Incident(
        incident_id=UUID(int=1),
        version=1,
        status="open",
        severity="error",
        title="",
        started_at=at - 30_000,
        detected_at=at,
        paged_at=at,
        last_seen_at=at,
        resolved_at=None,
        symptom=label.symptom[0],  # type: ignore[arg-type]
        layer=label.layer[0],  # type: ignore[arg-type]
        layer_probabilities={},
        failure_kind="reliability",
        confidence=0.9,
        action=label.expected_action[0],  # type: ignore[arg-type]
        action_reason="",
        action_ref=None,
        identity={"service": "chat-api"},
        root={"replica": str((label.root or {})["replica"])},
        affected=(),
        first_affected={},
        signals=("gen_ai.server.timeouts",),
        event_ids=(),
        suspects=(),
        blast_radius={},
    )


def test_what_the_sink_wrote_is_judged(tmp_path: Path) -> None:
    (label,) = simulate(["P06:duration=900"], 4, tmp_path / "in", warm_up_s=300, quiet_s=60)
    sink = FileSink(tmp_path / "out")
    sink.write_incidents([raised(label, 90_000)])
    sink.flush()
    judged = judge([label], incidents(tmp_path / "out"), days=1.0, series=1)
    (outcome,) = judged.outcomes
    assert outcome.in_time
    assert outcome.root_right
    assert outcome.raised_at == label.onset + 90_000
    assert judged.false_pages == 0


def test_no_incidents_is_no_folder(tmp_path: Path) -> None:
    assert list(incidents(tmp_path)) == []
