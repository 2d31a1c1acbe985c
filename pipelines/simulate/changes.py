"""Change records: the guilty ones of the scenarios, their reversals, and innocent ones in between."""

from typing import Any

import numpy as np

from pipelines.simulate.episodes import Episode
from pipelines.simulate.fleet import ENVIRONMENT, SERVICES
from pipelines.simulate.streams import stream

_INNOCENT_EVERY_S = 2.5 * 3600
_INNOCENT = (
    ("feature_flag", "show citations to 5 % of users"),
    ("config", "log level of the gateway"),
    ("infra", "certificates renewed"),
    ("feature_flag", "new onboarding page"),
    ("config", "retention of request logs"),
)


def innocent(seconds: int, start_ms: int, seed: int) -> list[dict[str, Any]]:
    """Changes that do nothing, about one every 2.5 h, to services drawn at random."""
    draw = stream(seed, "changes")
    times = np.cumsum(draw.exponential(_INNOCENT_EVERY_S, int(seconds / _INNOCENT_EVERY_S * 3) + 10))
    names = list(SERVICES)
    rows = []
    for time_s in times[times < seconds].tolist():
        kind, summary = _INNOCENT[int(draw.integers(len(_INNOCENT)))]
        rows.append(
            {
                "event_time": start_ms + int(time_s * 1000),
                "change_id": _change_id(draw),
                "change_type": kind,
                "status": "succeeded",
                "summary": summary,
                "author": "release-bot",
                "environment": ENVIRONMENT,
                "service": names[int(draw.integers(len(names)))],
            }
        )
    return rows


def of_episode(episode: Episode, start_ms: int) -> list[dict[str, Any]]:
    """The change that goes with an episode, and its reversal at the episode's end; none for most."""
    change = episode.scenario.change
    if change is None:
        return []
    draw = episode.random("change")
    service = episode.place.service
    identity = {"environment": ENVIRONMENT, "service": service.name}
    identity |= {
        name: value
        for name, value in episode.place.identity.items()
        if isinstance(value, str) and name in ("gpu_model", "route", "request_model", "replica", "node")
    }
    told = {"from": change.from_, "to": change.to, "expected": change.expected}
    record: dict[str, Any] = {
        "event_time": start_ms + int((episode.onset_s - change.lead_s) * 1000),
        "change_id": _change_id(draw),
        "change_type": change.type,
        "status": "succeeded",
        "summary": change.summary,
        "author": "release-bot",
        **{name: value for name, value in told.items() if value is not None},
        **identity,
        **change.sets,
    }
    if change.type == "maintenance":
        record["ends_at"] = start_ms + int(episode.end_s * 1000)
    if not change.reverted:
        return [record]
    back: dict[str, Any] = record | {
        "event_time": start_ms + int(episode.end_s * 1000),
        "change_id": _change_id(draw),
        "summary": f"revert: {change.summary}",
        "rollback_ref": record["change_id"],
    }
    if change.from_ is not None:
        back |= {"from": change.to, "to": change.from_}
        back |= {name: change.from_ for name, value in change.sets.items() if value == change.to}
    return [record, back]


def _change_id(draw: np.random.Generator) -> str:
    return f"chg-{draw.integers(16**8):08x}"
