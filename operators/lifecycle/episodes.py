"""Findings to episodes: pending, firing, recovering, resolved, reopened; one event per episode.

Each visible change of state or severity raises the revision, and so does at most one refresh a minute of
event time.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from operators.events import build
from operators.lifecycle.findings import Finding, Source
from operators.lifecycle.harm import Harm
from operators.lifecycle.meaning import meaning
from operators.lifecycle.severity import RANK, effect, is_material, kind_of, severity_of
from operators.series import SeriesKey, Slice, event_id, fingerprint
from operators.settings import LifecycleSettings
from schemas.outputs import AnomalyEvent, AnomalyKind, AnomalyWindow, CalibrationSource, Severity, Symptom
from schemas.plans import prepare

Stage = Literal["pending", "firing", "recovering", "resolved"]
#: Which changes or silences hold a slice's alarms down in a window: (slice, start, end) to their names.
Suppress = Callable[[Slice, int, int], tuple[str, ...]]

#: So many openings and closings within an hour of event time hold an episode open.
_FLAPS, _FLAP_MS = 6, 3_600_000
#: What alarms in this many windows is no spike.
_LASTS = 3
#: Material windows of a scalar further apart than this (ms) do not go on: they are counted anew.
_APART_MS = 240_000


class Episode(Struct, kw_only=True):
    """One episode of one series; what it shows is of its worst window."""

    source: Source
    key: SeriesKey
    stage: Stage = "pending"
    detector: str
    onset: int
    window_end: int
    run: int = 0
    alarms: int = 0
    material: int = 0
    material_at: int = 0
    size: float = 0.0
    direction: int = 0
    harm: Harm
    revision: int = -1
    kind: AnomalyKind
    severity: Severity
    symptom: Symptom
    detected_at: int = 0
    paged_at: int | None = None
    told_at: int = 0
    untold: bool = False
    turned_at: list[int] = []
    suppressed_by: tuple[str, ...] = ()
    score: float
    threshold: float
    p_value: float | None
    baseline: float
    observed: float
    samples: int
    calibration: CalibrationSource
    attributes: dict[str, str] = {}

    @property
    def visible(self) -> bool:
        """Whether it is firing on the wire."""
        return self.stage in ("firing", "recovering")


prepare(Episode)


class Lifecycle:
    """All episodes of a shard.

    Args:
        settings: hysteresis, cooldown and refresh.
        lateness_ms: allowed lateness, part of when something can be known.
        config_hash: of the settings, for the events.
    """

    def __init__(self, settings: LifecycleSettings, lateness_ms: int, config_hash: str) -> None:
        self.settings = settings
        self.lateness_ms = lateness_ms
        self.config_hash = config_hash
        self.episodes: dict[tuple[Source, SeriesKey], Episode] = {}

    def step(
        self, start: int, end: int, findings: Iterable[Finding], suppress: Suppress
    ) -> tuple[list[AnomalyEvent], list[AnomalyWindow]]:
        """One closed window.

        Args:
            start: of the window, Unix ms.
            end: of the window, exclusive.
            findings: of series that alarm or have an episode; a series without one stays as it is.
            suppress: what holds alarms down.

        Returns:
            New revisions of events, and the windows that are their evidence.
        """
        events, windows = [], []
        for finding in findings:
            place = (finding.source, finding.key)
            episode = self.episodes.get(place)
            if episode is not None and episode.stage == "resolved" and self._cooled(episode, start):
                del self.episodes[place]
                episode = None
            if episode is not None:
                episode.harm.add(finding)
            if not finding.alarm:
                if episode is not None and self._calm(episode, end):
                    events.append(self._tell(episode, end))
                if episode is not None and episode.stage == "pending":
                    del self.episodes[place]
                continue
            if episode is None:
                episode = self.episodes[place] = self._open(finding, start, end)
            suppressed = suppress(finding.key.slice, start, end)
            if self._alarm(episode, finding, start, end, suppressed):
                events.append(self._tell(episode, end))
            if episode.visible:
                windows.append(self._evidence(episode, finding, start, end))
        return events, windows

    def close(self, places: Iterable[tuple[Source, SeriesKey]], end: int) -> list[AnomalyEvent]:
        """Resolve episodes of series that are gone for good."""
        events = []
        for place in places:
            episode = self.episodes.get(place)
            if episode is not None and episode.visible:
                episode.stage = "resolved"
                episode.turned_at.append(end)
                events.append(self._tell(episode, end))
        return events

    def let_go(self, places: Iterable[tuple[Source, SeriesKey]], end: int) -> list[AnomalyEvent]:
        """Resolve episodes of series that are known no more, and forget them."""
        places = list(places)
        events = self.close(places, end)
        for place in places:
            self.episodes.pop(place, None)
        return events

    def finish(self, end: int) -> list[AnomalyEvent]:
        """The last revision of every open event that has grown since it was told; nothing is resolved."""
        return [
            self._tell(episode, end)
            for episode in self.episodes.values()
            if episode.visible and episode.untold
        ]

    def forget(self, now: int) -> None:
        """Drop episodes whose cooldown is over."""
        for place, episode in list(self.episodes.items()):
            if episode.stage == "resolved" and self._cooled(episode, now):
                del self.episodes[place]

    def _open(self, finding: Finding, start: int, end: int) -> Episode:
        kind, harm = finding.kind or kind_of(finding), Harm()
        harm.add(finding)
        return Episode(
            source=finding.source,
            key=finding.key,
            harm=harm,
            detector=finding.detector,
            onset=start,
            window_end=end,
            kind=kind,
            severity="info",
            symptom=finding.symptom or meaning(finding.key).symptom,
            score=finding.score,
            threshold=finding.threshold,
            p_value=finding.p_value,
            baseline=finding.expected,
            observed=finding.observed,
            samples=finding.samples,
            calibration=finding.calibration,
        )

    def _alarm(
        self, episode: Episode, finding: Finding, start: int, end: int, suppressed: tuple[str, ...]
    ) -> bool:
        """Take in an alarming window; whether the event is to be told."""
        first = episode.stage == "pending"
        episode.run = episode.run + 1 if first else 0
        episode.window_end = end
        if episode.stage == "resolved":
            episode.alarms = episode.material = 0
        episode.alarms += 1
        if is_material(finding):
            goes_on = finding.source != "bank" or end - episode.material_at <= _APART_MS
            episode.material = episode.material + 1 if goes_on else 1
            episode.material_at = end
        if episode.kind == "spike" and finding.kind is None and episode.alarms >= _LASTS:
            episode.kind = kind_of(finding, lasting=True)
        size = effect(finding) if finding.source == "bank" else finding.score
        if episode.alarms == 1:
            episode.direction = finding.direction
        if (size >= episode.size and finding.direction == episode.direction) or episode.alarms == 1:
            # an event shows its worst window the way it began: not its last, nor the way back
            episode.size = size
            episode.observed, episode.baseline = finding.observed, finding.expected
            episode.samples = finding.samples
        if finding.score >= episode.score or episode.alarms == 1:
            episode.score, episode.threshold, episode.p_value = (
                finding.score,
                finding.threshold,
                finding.p_value,
            )
            episode.calibration = finding.calibration
        episode.attributes = dict(finding.attributes)
        severity: Severity = finding.severity or severity_of(finding, episode.material, episode.harm)
        changed = suppressed != episode.suppressed_by
        episode.suppressed_by = suppressed
        if suppressed:
            severity = "info"
        if RANK[severity] > RANK[episode.severity]:
            episode.severity, changed = severity, True
            episode.symptom = finding.symptom or episode.symptom
        if first and episode.run < self.settings.confirm:
            return False
        if first:
            # the detector that leads when it fires stays the event's
            episode.detector, episode.kind = finding.detector, finding.kind or kind_of(finding)
            episode.detected_at = end + self.lateness_ms
        if episode.stage in ("pending", "resolved"):
            episode.turned_at.append(end)
            changed = True
        episode.stage = "firing"
        episode.untold = True
        return changed or end - episode.told_at >= self.settings.refresh_s * 1000

    def _calm(self, episode: Episode, end: int) -> bool:
        """Take in a window without alarm; whether the event is to be told."""
        if not episode.visible:
            return False
        episode.run = episode.run + 1 if episode.stage == "recovering" else 1
        episode.stage = "recovering"
        turns = [turn for turn in episode.turned_at if turn > end - _FLAP_MS]
        if episode.run < self.settings.clear or len(turns) >= _FLAPS:
            return False
        episode.stage, episode.run = "resolved", 0
        episode.turned_at = [*turns, end]
        return True

    def _cooled(self, episode: Episode, now: int) -> bool:
        return now - episode.turned_at[-1] > self.settings.cooldown_s * 1000

    def _tell(self, episode: Episode, end: int) -> AnomalyEvent:
        episode.revision += 1
        episode.told_at, episode.untold = end, False
        if episode.paged_at is None and RANK[episode.severity] >= RANK["warning"]:
            episode.paged_at = end + self.lateness_ms
        return build(episode, end + self.lateness_ms, self.config_hash)

    def _evidence(self, episode: Episode, finding: Finding, start: int, end: int) -> AnomalyWindow:
        return AnomalyWindow(
            event_id=event_id(episode.detector, fingerprint(episode.key, episode.detector), episode.onset),
            window_start=start,
            window_end=end,
            score=finding.score,
            p_value=finding.p_value,
            observed_value=finding.observed,
            expected_low=finding.low,
            expected_high=finding.high,
            sample_count=finding.samples,
        )

    def snapshot(self) -> bytes:
        """All episodes."""
        return msgspec.msgpack.encode(list(self.episodes.values()))

    def restore(self, data: bytes) -> None:
        """Take over what `snapshot` gave."""
        episodes = msgspec.msgpack.decode(data, type=list[Episode])
        self.episodes = {(episode.source, episode.key): episode for episode in episodes}
