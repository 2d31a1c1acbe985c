"""How well incidents answer labels: found in time, false pages, agreement, and what chance would find.

`judge` looks at one timeline, `summarise` at many; `score` does both for one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pipelines.evaluate.matching import Body, Told, agree, belongs, told
from pipelines.simulate.labels import MAGNITUDES, Label
from schemas.outputs import Incident


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one label. Times in ms; ``answer`` is the earliest incident that belongs to it.

    ``by_chance``: whether the timeline without the fault would have found it in time; None: there was none.
    """

    label: Label
    answer: Told | None
    raised_at: int | None
    incidents: int
    by_chance: bool | None

    @property
    def found(self) -> bool:
        """Whether any incident belongs to the label."""
        return self.answer is not None

    @property
    def in_time(self) -> bool:
        """Whether it was raised before the first user report (before the end where nobody reports)."""
        return self.raised_at is not None and self.raised_at < _deadline(self.label)

    def says(self, field: str, accepted: Sequence[str] | None) -> str | None:
        """The answer's ``field``; any accepted one counts as the first."""
        if self.answer is None or not accepted:
            return None
        given = str(self.answer.last[field])
        return accepted[0] if given in accepted else given

    @property
    def root_right(self) -> bool:
        """Whether the root named shares a field with the label's and none differs."""
        root = self.answer.last.get("root") if self.answer else None
        return root is not None and agree(root, self.label.root or {})


@dataclass(frozen=True, slots=True)
class Judged:
    """One timeline: an outcome for each label that is no control, and counts of what was raised."""

    outcomes: tuple[Outcome, ...]
    pages: int
    false_pages: int
    infos: int
    days: float
    series: int


def judge(
    labels: Sequence[Label],
    incidents: Iterable[Body | Incident],
    *,
    twin_incidents: Iterable[Body | Incident] | None = None,
    days: float,
    series: int,
) -> Judged:
    """Hold one timeline's incidents, all versions of each, against its labels.

    Args:
        labels: the truth, controls included.
        incidents: what was raised.
        twin_incidents: what was raised on the fault-free twin: what chance would find.
        days: length of the timeline.
        series: how many series were watched.
    """
    raised, twin = told(incidents), told(twin_incidents or ())
    owners = [belongs(each, labels) for each in raised]
    outcomes = []
    for index, label in enumerate(labels):
        if label.is_control:
            continue
        mine = [each for each, owner in zip(raised, owners, strict=True) if owner == index]
        first = min(mine, key=lambda each: (_raised(each, label), each.incident_id), default=None)
        luck = [_raised(each, label) < _deadline(label) for each in twin if belongs(each, labels) == index]
        outcomes.append(
            Outcome(
                label=label,
                answer=first,
                raised_at=None if first is None else _raised(first, label),
                incidents=len(mine),
                by_chance=None if twin_incidents is None else any(luck),
            )
        )
    pages = [owner for each, owner in zip(raised, owners, strict=True) if each.paged_at is not None]
    return Judged(
        outcomes=tuple(outcomes),
        pages=len(pages),
        false_pages=sum(owner is None for owner in pages),
        infos=len(raised) - len(pages),
        days=days,
        series=series,
    )


def score(
    labels: Sequence[Label],
    incidents: Iterable[Body | Incident],
    *,
    twin_incidents: Iterable[Body | Incident] | None = None,
    days: float,
    series: int,
) -> dict[str, Any]:
    """`judge` and `summarise` for one timeline."""
    one = judge(labels, incidents, twin_incidents=twin_incidents, days=days, series=series)
    return summarise([one])


def summarise(judged: Sequence[Judged]) -> dict[str, Any]:
    """The figures over timelines, one entry each: None where there is nothing to take one of."""
    outcomes = [outcome for one in judged for outcome in one.outcomes]
    found = [outcome for outcome in outcomes if outcome.found]
    false_pages = sum(one.false_pages for one in judged)
    days = sum(one.days for one in judged)
    series_days = sum(one.days * one.series for one in judged)
    return {
        "labels": len(outcomes),
        "found": len(found),
        "in_time": _share(outcome.in_time for outcome in outcomes),
        "false_share": _ratio(false_pages, false_pages + len(found)),
        "chance": _chance(outcomes),
        "median_delay_s": _median(_delays(found)),
        "median_lead_s": _median(_leads(found)),
        "pages": sum(one.pages for one in judged),
        "false_pages": false_pages,
        "false_pages_per_day": _ratio(false_pages, days),
        "false_pages_per_series_day": _ratio(false_pages, series_days),
        "info_incidents_per_day": _ratio(sum(one.infos for one in judged), days),
        "series": round(sum(one.series for one in judged) / len(judged)) if judged else 0,
        "days": days,
        "symptom_kappa": kappa(_answers(found, "symptom")),
        "layer_kappa": kappa(_answers(found, "layer")),
        "action_right": _share(_accepted(outcome) for outcome in found),
        "root_right": _share(outcome.root_right for outcome in found if outcome.label.root),
        "by_magnitude": {
            magnitude: _brief([each for each in outcomes if each.label.magnitude == magnitude])
            for magnitude in MAGNITUDES
        },
    }


def by_scenario(judged: Sequence[Judged]) -> dict[str, dict[str, Any]]:
    """The figures of each scenario over timelines, with the delays of the incidents found."""
    outcomes = [outcome for one in judged for outcome in one.outcomes]
    return {
        name: _brief([each for each in outcomes if each.label.scenario == name])
        for name in dict.fromkeys(each.label.scenario for each in outcomes)
    }


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of (truth, answer) pairs; 1 where all agree on a single class, None without pairs."""
    if not pairs:
        return None
    count = len(pairs)
    observed = sum(truth == answer for truth, answer in pairs) / count
    classes = {each for pair in pairs for each in pair}
    by_luck = sum(
        sum(truth == each for truth, _ in pairs) * sum(answer == each for _, answer in pairs)
        for each in classes
    ) / (count * count)
    return 1.0 if by_luck == 1.0 else (observed - by_luck) / (1.0 - by_luck)


def _answers(found: Sequence[Outcome], field: str) -> list[tuple[str, str]]:
    pairs = []
    for outcome in found:
        accepted = outcome.label.symptom if field == "symptom" else outcome.label.layer
        answer = outcome.says(field, accepted)
        if accepted and answer is not None:
            pairs.append((accepted[0], answer))
    return pairs


def _accepted(outcome: Outcome) -> bool:
    accepted = outcome.label.expected_action or []
    return bool(outcome.answer) and outcome.says("action", accepted) in accepted[:1]


def _brief(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    found = [outcome for outcome in outcomes if outcome.found]
    return {
        "labels": len(outcomes),
        "found": len(found),
        "in_time": _share(outcome.in_time for outcome in outcomes),
        "chance": _chance(outcomes),
        "median_delay_s": _median(_delays(found)),
        "median_lead_s": _median(_leads(found)),
        "incidents_per_label": _ratio(sum(outcome.incidents for outcome in found), len(found)),
        "symptom_right": _share(truth == answer for truth, answer in _answers(found, "symptom")),
        "layer_right": _share(truth == answer for truth, answer in _answers(found, "layer")),
        "action_right": _share(_accepted(outcome) for outcome in found),
        "root_right": _share(outcome.root_right for outcome in found if outcome.label.root),
    }


def _delays(found: Sequence[Outcome]) -> list[float]:
    """From onset to raise, s."""
    return [((outcome.raised_at or 0) - outcome.label.onset) / 1000 for outcome in found]


def _leads(found: Sequence[Outcome]) -> list[float]:
    """From raise to the first user report, s, where one was written."""
    reports = [(outcome.label.first_user_report, outcome.raised_at or 0) for outcome in found]
    return [(report - raised) / 1000 for report, raised in reports if report is not None]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _chance(outcomes: Sequence[Outcome]) -> float | None:
    return _share(each.by_chance for each in outcomes if each.by_chance is not None)


def _raised(incident: Told, label: Label) -> int:
    raised = incident.raised_at(label)
    return incident.detected_at if raised is None else raised


def _deadline(label: Label) -> int:
    return label.end if label.first_user_report is None else label.first_user_report


def _share(flags: Iterable[bool]) -> float | None:
    listed = list(flags)
    return sum(listed) / len(listed) if listed else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
