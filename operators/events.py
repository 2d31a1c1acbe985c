"""From an episode to the revision of its event, as the wire has it."""

from typing import TYPE_CHECKING

from operators.lifecycle.meaning import unit
from operators.lifecycle.summary import summary
from operators.series import event_id, fingerprint
from schemas.outputs import AnomalyEvent

if TYPE_CHECKING:
    from operators.lifecycle.episodes import Episode


def build(episode: "Episode", updated_at: int, config_hash: str) -> AnomalyEvent:
    """The current revision of an episode's event.

    Args:
        episode: visible or just resolved.
        updated_at: event time at which this revision can be known, Unix ms.
        config_hash: of the settings it was decided by.
    """
    key, name = episode.key, fingerprint(episode.key, episode.detector)
    detector, _, version = episode.detector.rpartition("/")
    return AnomalyEvent(
        event_id=event_id(episode.detector, name, episode.onset),
        fingerprint=name,
        revision=episode.revision,
        status="firing" if episode.visible else "resolved",
        kind=episode.kind,
        severity=episode.severity,
        topic=key.topic,
        signal=key.signal,
        statistic=key.statistic,
        unit=unit(key),
        window_start=episode.onset,
        window_end=episode.window_end,
        detected_at=episode.detected_at,
        updated_at=updated_at,
        paged_at=episode.paged_at,
        detector=detector,
        detector_version=version,
        score=episode.score,
        threshold=episode.threshold,
        p_value=episode.p_value,
        baseline_value=episode.baseline,
        observed_value=episode.observed,
        sample_count=episode.samples,
        calibration=episode.calibration,
        symptom=episode.symptom,
        config_hash=config_hash,
        identity=key.identity,
        side=key.side,
        attributes=episode.attributes,
        summary=summary(key, episode.kind, episode.observed, episode.baseline),
        suppressed_by=episode.suppressed_by,
    )
