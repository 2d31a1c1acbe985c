"""One timeline: a warm-up without incident, then the scenarios one after another with quiet between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.errors import UsageError
from pipelines.simulate.arrays import Floats
from pipelines.simulate.episodes import Episode, Place
from pipelines.simulate.labels import MAGNITUDES, Label
from pipelines.simulate.places import locate, others
from pipelines.simulate.scenario import Scenario
from pipelines.simulate.scenarios import CATALOGUE
from pipelines.simulate.streams import stream

WARM_UP_S = 5 * 3600.0
QUIET_S = 65 * 60.0
#: A user reports one of so many affected requests, times the harm done to it.
REPORTS_A_REQUEST = 0.002
_REPORT_DELAY_S, _REPORT_SPREAD = 300.0, 0.8


@dataclass(frozen=True, slots=True)
class Order:
    """A scenario as asked for: ``ID[:weak|mid|strong][:duration=SECONDS][:share=S]``."""

    scenario: Scenario
    magnitude: int = 1
    duration_s: float | None = None
    share: float | None = None


def parse(text: str) -> Order:
    """Read one order; raises `UsageError` where it is none."""
    name, *options = text.strip().split(":")
    if name not in CATALOGUE:
        raise UsageError(f"scenario {name!r}: unknown; there are {', '.join(CATALOGUE)}, and 'all'")
    values: dict[str, Any] = {}
    for option in options:
        key, _, value = option.partition("=")
        try:
            if option in MAGNITUDES:
                values["magnitude"] = [*MAGNITUDES].index(option)
            elif key in ("duration", "share") and float(value) > 0:
                values["duration_s" if key == "duration" else "share"] = float(value)
            else:
                raise ValueError
        except ValueError:
            raise UsageError(
                f"scenario {text!r}: {option!r} is not weak, mid, strong, duration=SECONDS or share=0..1"
            ) from None
    return Order(CATALOGUE[name], **values)


def listed(names: Sequence[str]) -> list[str]:
    """The orders of a command, one by one; ``all`` stands for the whole catalogue."""
    orders = [part.strip() for name in names for part in name.split(",") if part.strip()]
    if not orders:
        raise UsageError(f"no scenario given; there are {', '.join(CATALOGUE)}, and 'all'")
    return [name for order in orders for name in (CATALOGUE if order == "all" else [order])]


def parse_all(names: Sequence[str]) -> list[Order]:
    """Read the orders of a command."""
    return [parse(name) for name in listed(names)]


def schedule(
    orders: Sequence[Order], seed: int, *, warm_up_s: float = WARM_UP_S, quiet_s: float = QUIET_S
) -> tuple[list[Episode], int]:
    """Put scenarios on the timeline, after ``warm_up_s`` without any, with ``quiet_s`` after each.

    Returns:
        The episodes, in order, and the timeline's length in seconds.
    """
    episodes: list[Episode] = []
    clock = warm_up_s
    for order in orders:
        whole = order.scenario
        parts = [(CATALOGUE[name], delay) for name, delay in whole.parts] or [(whole, 0.0)]
        last, taken = clock, list[Place]()
        for scenario, delay in parts:
            number = len(episodes)
            onset = np.floor(clock + delay + stream(seed, "onset", number).uniform(0, 300))
            end = onset + (order.duration_s or scenario.duration_s)
            place = locate(scenario, stream(seed, "place", number), taken)
            taken.append(place)
            share = order.share if order.share is not None else _at(scenario.share, order.magnitude)
            episodes.append(
                Episode(scenario, whole.id, number, order.magnitude, share, onset, end, place, seed)
            )
            last = max(last, end)
        clock = last + quiet_s
    return episodes, int(clock)


def label(episode: Episode, start_ms: int, change_id: str | None, harmed: Floats) -> Label:
    """The truth about an episode.

    Args:
        episode: which.
        start_ms: the timeline's start.
        change_id: of its guilty change, if any.
        harmed: affected requests times their harm, in each second of the timeline.
    """
    scenario, truth = episode.scenario, episode.scenario.truth
    report = None if truth is None else _first_report(episode, harmed)
    return Label(
        scenario=episode.label,
        seed=episode.seed,
        onset=start_ms + int(episode.onset_s * 1000),
        end=start_ms + int(episode.end_s * 1000),
        first_user_report=None if report is None else start_ms + int(report * 1000),
        symptom=None if truth is None else list(truth.symptom),
        layer=None if truth is None else list(truth.layer),
        failure_kind=None if truth is None else list(truth.kind),
        expected_action=None if truth is None else list(truth.action),
        min_severity=scenario.min_severity,
        change_id=change_id,
        shape=scenario.shape,
        share=episode.share,
        magnitude=MAGNITUDES[episode.magnitude],
        depth=episode.value(scenario.depth) if truth is not None else 0.0,
        identity=episode.place.identity,
        root=episode.place.root if truth is not None else None,
        must_stay_silent=[{}]
        if truth is None
        else [_matcher(episode, dict(each)) for each in scenario.silent],
    )


def _first_report(episode: Episode, harmed: Floats) -> float | None:
    """First arrival of an inhomogeneous Poisson process of reports, plus the time it takes to be written."""
    draw = episode.random("report")
    patience, delay = draw.exponential(), draw.lognormal(np.log(_REPORT_DELAY_S), _REPORT_SPREAD)
    hazard = np.cumsum(REPORTS_A_REQUEST * harmed)
    second = int(np.searchsorted(hazard, patience))
    return None if second >= hazard.size else min(second + 0.5, episode.end_s) + float(delay)


def _matcher(episode: Episode, matcher: dict[str, Any]) -> dict[str, Any]:
    for name, value in matcher.items():
        if value == "others":
            matcher[name] = others(episode.place.service, name, episode.place.identity)
    return matcher


def _at(value: Any, magnitude: int) -> float:
    return float(value[magnitude] if isinstance(value, tuple) else value)
