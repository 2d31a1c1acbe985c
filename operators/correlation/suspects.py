"""Which changes may have caused an incident: recency, target and type, scored with reasons.

A change never opens an incident. Below `MENTION` nothing is said rather than something guessed; and a change
whose target excludes what is affected is no suspect, however recent.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from operators.shard.changes import began
from schemas.identity import IDENTITY_FIELDS
from schemas.records import ChangeRecord

#: How long before and after the onset a change is looked for, ms: a window of embeddings may begin a quarter
#: of an hour before the fault that it shows.
BEFORE, AFTER = 7_200_000, 900_000
#: Suspects below this score are left out.
MENTION = 0.35
#: Time constant of recency, ms.
DECAY = 1_800_000

#: Fields a change's target is compared on, with the weight of agreeing.
_TARGETS: tuple[tuple[str, float], ...] = (
    ("service", 0.2),
    ("request_model", 0.1),
    ("service_version", 0.1),
    ("region", 0.1),
    ("replica", 0.15),
    ("node", 0.1),
    ("route", 0.1),
    ("gpu_model", 0.1),
    ("provider", 0.1),
)


#: Fields of a target as correlation knows it: what of a change's identity says whom it touched.
_COMPARED = frozenset(
    {"environment", "service", "service_version", "region", "cluster", "node", "replica", "gpu", "gpu_model"}
    | {"provider", "request_model", "prompt_version", "route", "task", "tenant_hash"}
)
#: A root or a target that names one of these is one machine's.
_ENTITY = frozenset({"replica", "node", "gpu", "tp_group"})
#: What names one of these is some machines': what happens at one of them may come of a change to it, and it
#: may carry nearly all there is.
PLATFORM = frozenset({"gpu_model", "route", "region", "provider"})


@dataclass(frozen=True, slots=True)
class Change:
    """One change, as merged from its revisions; times Unix ms. ``undoes``: the change that it takes back."""

    change_id: str
    change_type: str
    status: str
    at: int
    expected: bool
    to: str
    target: Mapping[str, str]
    undoes: str = ""


def change_of(record: ChangeRecord) -> Change:
    """The change that a record, merged from its revisions, tells of."""
    named = {name: getattr(record, name) for name in IDENTITY_FIELDS if name in _COMPARED}
    return Change(
        change_id=record.change_id,
        change_type=record.change_type,
        status=record.status or "succeeded",
        at=began(record),
        expected=bool(record.expected),
        to=record.to or "",
        target={name: value for name, value in named.items() if value},
        undoes=record.rollback_ref or "",
    )


@dataclass(frozen=True, slots=True)
class ScoredChange:
    """A change with its score in 0–1 and the reasons in words."""

    change_id: str
    change_type: str
    score: float
    reasons: tuple[str, ...]


def rank(
    changes: Iterable[Change], onset: int, affected: Mapping[str, str], limit: int = 5
) -> list[ScoredChange]:
    """Suspects for an onset (ms) on ``affected`` (the incident's identity and root), best first."""
    scored = [found for change in changes if (found := _score(change, onset, affected))]
    return sorted(scored, key=lambda s: (-s.score, s.change_id))[:limit]


def _score(change: Change, onset: int, affected: Mapping[str, str]) -> ScoredChange | None:
    age = onset - change.at
    if (
        not -AFTER <= age <= BEFORE
        or change.status in ("cancelled",)
        or change.change_type in ("maintenance", "embedder")
    ):
        return None
    agree = [
        (name, weight)
        for name, weight in _TARGETS
        if change.target.get(name) and change.target[name] == affected.get(name)
    ]
    moved = (
        change.change_type in ("deployment", "model_swap") and affected.get("service_version") == change.to
    )
    differs = [
        name
        for name, _ in _TARGETS
        if change.target.get(name)
        and name in affected
        and change.target[name] != affected[name]
        and not (name == "service_version" and moved)
    ]
    if differs or not (agree or moved or not change.target.keys() - {"environment"}):
        return None
    recency = math.exp(-max(age, 0) / DECAY) * (1.0 if age >= -300_000 else 0.8)
    score = 0.55 * recency + min(0.45, sum(weight for _, weight in agree) * 1.5 + (0.3 if moved else 0.0))
    confined = affected.keys() & _ENTITY and not change.target.keys() & (_ENTITY | PLATFORM)
    if confined:
        score *= 0.5  # what changed everywhere does not explain what happens at one place
    if change.expected:
        score *= 0.6
    if change.undoes:
        score *= 0.45  # it brings back what was there before: mentioned, never acted on
    if score < MENTION:
        return None
    when = f"{abs(age) // 60_000} min {'before' if age >= 0 else 'after'} the onset"
    reasons = (
        when,
        *(f"same {name}" for name, _ in agree),
        *(("deployed the affected version",) if moved else ()),
    )
    return ScoredChange(change.change_id, change.change_type, round(min(score, 1.0), 3), reasons)
