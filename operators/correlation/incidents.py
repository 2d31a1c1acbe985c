"""A group of episodes as an incident: its severity over time, verdict, root, suspects and advice.

An incident is told as it stood at a moment of event time, from the members detected by then alone: "as
raised" and "as it is now" come from the same code.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from operators.correlation.episodes import SEVERITIES, Episode, Topology
from operators.correlation.evidence import Verdict, classify
from operators.correlation.grouping import APART, Group
from operators.correlation.localise import affected, localise, overloaded, shared
from operators.correlation.playbook import CONVINCING, Case, advise
from operators.correlation.suspects import Change, ScoredChange, rank
from schemas.outputs import Incident, Severity, Suspect

NAMESPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
#: All members resolved for this long (ms): the incident is.
QUIET = 600_000
#: Moved answers are believed after this long (ms), or, where a window longer than `LONG` showed them, after
#: another of its length.
PATIENCE, LONG = 480_000, 1_800_000
#: Questions that moved this long (ms) before the answers did not move them.
LONG_BEFORE = 3_600_000
#: Moved answers below this score (-log10) page not even after a change, but for one made to their place.
SUSPICIOUS = 6.5
ASKED, ANSWERS = "gen_ai.prompt.embedding", "gen_ai.output.embedding"
#: Fields of a change that say what is new, beside where.
VERSIONS = ("service_version", "prompt_version")
#: Faint signs that together open an incident, and the score (-log10) of one that opens it alone.
FEW, STRONG = 4, 10.0

_WORDS = {
    "performance_degradation": "Slow",
    "deployment_failure": "Rollout failing",
    "invalid_inference": "Answers changed",
    "telemetry_fault": "Telemetry faulty",
    "input_shift": "Input shifted",
}


@dataclass(frozen=True, slots=True)
class Context:
    """What correlation knows beside a group: ``asked``: all episodes of moved prompts, but for their mix."""

    topology: Topology
    changes: Sequence[Change]
    now: int
    asked: Sequence[Episode] = ()


def moved_prompts(groups: Iterable[Group]) -> list[Episode]:
    """Episodes of all groups that say that users ask something else."""
    members = (member for group in groups for member in group.members)
    return [member for member in members if member.signal == ASKED and member.statistic != "mix"]


def tell(group: Group, context: Context) -> Iterator[Incident]:
    """All versions of a group as a new incident: as it opened, as it paged, and as it stands now."""
    paged = paged_at(group, context.now, context)
    opening = _first(opened_at(group), paged)
    if opening is None:
        return
    told = sorted({opening, *(() if paged is None else (paged,)), context.now})
    for version, moment in enumerate(told, 1):
        yield _version(group, moment, context, first_id(group), paged, version)


def as_of_now(group: Group, context: Context, incident_id: UUID) -> Incident:
    """A group as the incident of this id stands now."""
    return _version(group, context.now, context, incident_id, paged_at(group, context.now, context), 1)


def _version(
    group: Group, moment: int, context: Context, incident_id: UUID, paged: int | None, version: int
) -> Incident:
    """The incident as it stood at ``moment`` (ms); ``paged``: when it did, over all its time."""
    known = _until(group, moment)
    members = known.members
    root = localise(known, context.topology)
    identity = shared(known)
    suspects = rank(_by(context.changes, moment), _onset(members), identity | root)
    blamed = _target(suspects, context.changes)
    root |= {name: value for name, value in blamed.items() if name in (*APART, *VERSIONS)}
    identity |= {name: value for name, value in blamed.items() if name in APART}
    verdict = _verdict(members, suspects, root)
    rising, falling = _ways(members)
    raised = paged if paged is not None and paged <= moment else None
    advice = advise(
        Case(
            verdict.symptom,
            verdict.layer,
            root,
            frozenset(m.signal for m in members),
            suspects,
            bool(overloaded(known, context.topology)),
            rising,
            falling,
        )
    )
    first = min(members, key=lambda m: (m.start, m.detected))
    top = max(members, key=lambda m: (harms(m), SEVERITIES.index(m.severity), m.score))
    over = moment >= context.now and all(m.status == "resolved" for m in members)
    closed = max(m.updated for m in members) + QUIET
    resolved = over and closed <= context.now
    return Incident(
        incident_id=incident_id,
        version=version,
        status="resolved" if resolved else "open",
        severity=_severity(members, verdict, _enough(members, suspects, blamed), context.asked, moment),
        title=f"{_WORDS[verdict.symptom]}: {top.summary or _where(root)}",
        started_at=_onset(members),
        detected_at=_first(opened_at(known), raised) or moment,
        paged_at=raised,
        last_seen_at=min(known.end, moment) if moment < context.now else known.end,
        resolved_at=closed if resolved else None,
        symptom=verdict.symptom,
        layer=verdict.layer,
        layer_probabilities={name: round(share, 4) for name, share in verdict.layer_probabilities.items()},
        failure_kind=verdict.failure_kind,
        confidence=round(verdict.confidence, 4),
        action=advice.action,
        action_reason=advice.reason,
        action_ref=advice.ref,
        identity=identity or root,
        root=root or None,
        affected=affected(known),
        first_affected=dict(first.identity),
        signals=tuple(sorted({m.signal for m in members})),
        event_ids=tuple(m.event_id for m in members),
        suspects=tuple(Suspect(change_id=s.change_id, score=s.score, reasons=s.reasons) for s in suspects),
        blast_radius={},
        config_hash=top.config_hash,
    )


def opened_at(group: Group) -> int | None:
    """When a group is an incident: not for one faint sign, but for a few, a strong one, or one that pages."""
    strong = [m.detected for m in group.members if m.severity != "info" or m.score >= STRONG]
    few = sorted(m.detected for m in group.members)[FEW - 1 : FEW]
    return min(strong + few, default=None)


def paged_at(group: Group, moment: int, context: Context) -> int | None:
    """The first moment up to ``moment`` at which the incident stood at warning or above, or None."""
    times = {m.detected for m in group.members} | {m.paged for m in group.members if m.paged is not None}
    times |= {time for m in group.members if m.signal == ANSWERS for time in _believed(m)}
    for time in sorted(time for time in times if time <= moment):
        known = _until(group, time)
        root = localise(known, context.topology)
        suspects = rank(_by(context.changes, time), known.start, shared(known) | root)
        verdict = _verdict(known.members, suspects, root)
        enough = _enough(known.members, suspects, _target(suspects, context.changes))
        if _severity(known.members, verdict, enough, context.asked, time) != "info":
            return time
    return None


def first_id(group: Group) -> UUID:
    """The id of an incident not stored yet: from its first detected member."""
    return uuid5(NAMESPACE, f"driftline|incident|{group.members[0].event_id}")


def _onset(members: Sequence[Episode]) -> int:
    """When what carries the incident began; a faint sign before it excuses no change."""
    return min((m.start for m in members if m.severity != "info"), default=min(m.start for m in members))


def _first(*times: int | None) -> int | None:
    return min((time for time in times if time is not None), default=None)


def _by(changes: Sequence[Change], moment: int) -> list[Change]:
    return [change for change in changes if change.at <= moment]


def _until(group: Group, moment: int) -> Group:
    known = [(m, i) for m, i in zip(group.members, group.identities, strict=True) if m.detected <= moment]
    if len(known) == len(group.members):
        return group
    part = Group(min(m.start for m, _ in known), max(m.end for m, _ in known))
    for member, identity in known:
        part.add(member, identity)
    return part


def _ways(members: Sequence[Episode]) -> tuple[frozenset[str], frozenset[str]]:
    """Signals whose strongest member rose, and those whose fell."""
    strongest = {m.signal: m for m in sorted(members, key=lambda m: m.score)}
    rising = frozenset(signal for signal, m in strongest.items() if m.rises)
    return rising, frozenset(strongest.keys() - rising)


def _verdict(members: Sequence[Episode], suspects: Sequence[ScoredChange], root: dict[str, str]) -> Verdict:
    # of several changes one did it: the others' types say nothing
    return classify(members, {first.change_type: first.score for first in suspects[:1]}, root)


def _severity(
    members: Sequence[Episode], verdict: Verdict, enough: float, asked: Sequence[Episode], moment: int
) -> Severity:
    """The worst member's as known then, lifted when enough signals agree; an input shift never pages."""
    counted = [m for m in members if not m.suppressed]
    counted = [m for m in counted if m.signal != ANSWERS or _holds(m, asked, moment)]
    worst = max((_then(m, moment) for m in counted), default=0)
    if worst == 0 and any(m.score >= enough and _suspicious(m, asked, moment) for m in members):
        worst = 1
    if verdict.symptom == "input_shift":
        worst = 0
    return SEVERITIES[worst]


def _target(suspects: Sequence[ScoredChange], changes: Sequence[Change]) -> Mapping[str, str]:
    """What the change that is to blame was made to: it says where, however wide its effects are seen."""
    if not suspects or suspects[0].score < CONVINCING:
        return {}
    return next(change.target for change in changes if change.change_id == suspects[0].change_id)


def _enough(members: Sequence[Episode], suspects: Sequence[ScoredChange], target: Mapping[str, str]) -> float:
    """Score at which moved answers page after a change, though they would not alone.

    Where it was made to one place, and something else there is plain, any that are told.
    """
    if not any(suspect.score >= CONVINCING for suspect in suspects):
        return math.inf
    plain = any(m.score >= STRONG and m.signal not in (ANSWERS, ASKED) for m in members)
    return 0.0 if plain and target.keys() & set(APART) else SUSPICIOUS


def _suspicious(member: Episode, asked: Sequence[Episode], moment: int) -> bool:
    """Whether it says that answers, not just their mix, have moved, and goes on saying so."""
    if member.signal != ANSWERS or member.statistic == "mix" or member.suppressed:
        return False
    return _lasting(member, _believed(member)[0], moment) and not _asked(member, asked, moment)


def _holds(member: Episode, asked: Sequence[Episode], moment: int) -> bool:
    """Whether moved embeddings count: they have lasted, and the questions had not moved by then.

    What users ask moves answers too, and is seen to have moved some windows later.
    """
    if member.paged is None or not _lasting(member, _believed(member)[-1], moment):
        return False
    return not _asked(member, asked, moment)


def _believed(member: Episode) -> list[int]:
    """When moved answers are believed to have moved, and, if they are worth a page, when that is (ms).

    What an hour's window says stands for the next hour: a second one has to say it, too.
    """
    length = member.detected - member.start
    again = member.detected + (length if length > LONG else PATIENCE)
    return [again] if member.paged is None else [again, max(again, member.paged + PATIENCE)]


def _lasting(member: Episode, since: int, moment: int) -> bool:
    """Whether it goes on at a moment after ``since``, or ended just now."""
    return since <= moment <= member.end + PATIENCE


def _asked(member: Episode, asked: Sequence[Episode], moment: int) -> bool:
    """Whether questions to the same service had moved, too, as known by then."""
    return any(
        other.detected <= moment
        and other.end >= member.start - PATIENCE
        and other.start >= member.start - LONG_BEFORE
        and other.identity.get("service") == member.identity.get("service")
        for other in asked
    )


def harms(member: Episode) -> bool:
    """Whether a member's signal went the way that is worse, as far as its meaning says."""
    return member.worse is not None and not member.improves


def _then(member: Episode, moment: int) -> int:
    paged = member.paged is not None and member.paged <= moment
    return SEVERITIES.index(member.severity) if paged else 0


def _where(root: dict[str, str]) -> str:
    names = (
        "service",
        "request_model",
        "service_version",
        "region",
        "route",
        "node",
        "replica",
        "gpu",
        "producer",
    )
    return " ".join(root[name] for name in names if name in root) or "several services"
