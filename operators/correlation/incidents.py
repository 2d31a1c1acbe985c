"""A group of episodes as an incident: its severity over time, verdict, root, suspects and advice.

An incident is told as it stood at a moment of event time, from the members detected by then alone: "as
raised" and "as it is now" come from the same code.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from operators.correlation.episodes import SEVERITIES, Episode, Topology
from operators.correlation.evidence import ANSWERS, ASKED, LENGTHS, STRONG, Verdict, classify
from operators.correlation.grouping import APART, Group
from operators.correlation.localise import affected, localise, overloaded, shared
from operators.correlation.playbook import CONVINCING, Case, advise
from operators.correlation.severity import LONG, believed, redirected, severity, swinging
from operators.correlation.suspects import Change, ScoredChange, rank
from schemas.outputs import Incident, Suspect

NAMESPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
#: All members resolved for this long (ms): the incident is.
QUIET = 600_000
#: Fields of a change that say what is new, beside where.
VERSIONS = ("service_version", "prompt_version")
#: What only one change can do speaks for it where another scores no more than this higher.
NEARLY = 0.25
#: Faint signs that together open an incident.
FEW = 4

_WORDS = {
    "performance_degradation": "Slow",
    "deployment_failure": "Rollout failing",
    "invalid_inference": "Answers changed",
    "telemetry_fault": "Telemetry faulty",
    "input_shift": "Input shifted",
}
#: Signals of requests that come to nothing, however fast the others are.
_FAILING = tuple(f"gen_ai.server.{name}" for name in ("errors", "timeouts", "cancellations", "completions"))


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
    if replica := swinging(members):
        root |= context.topology.expand({"replica": replica})
    identity = shared(known)
    suspects = _suspects(known, moment, context, root)
    blamed = _blamed(suspects, context.changes)
    target = blamed.target if blamed else {}
    root |= {name: value for name, value in target.items() if name in (*APART, *VERSIONS)}
    identity |= {name: value for name, value in target.items() if name in APART}
    verdict = _verdict(members, suspects, root)
    faint = paged is None and verdict.symptom == "invalid_inference"
    if faint:  # to blame a change or a machine asks for more
        verdict = classify(members, {})
    if verdict.symptom == "telemetry_fault":
        root = _speaker(known, context.topology) | root
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
            faint,
        )
    )
    first = min(members, key=lambda m: (m.start, m.detected))
    top = max(members, key=lambda m: _tells(m, verdict))
    over = moment >= context.now and all(m.status == "resolved" for m in members)
    closed = max(m.updated for m in members) + QUIET
    resolved = over and closed <= context.now
    return Incident(
        incident_id=incident_id,
        version=version,
        status="resolved" if resolved else "open",
        severity=severity(members, verdict, blamed, context.asked, moment),
        title=f"{_heading(verdict, top)}: {top.summary or _where(root)}",
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
    times |= {time for m in group.members if m.signal == ANSWERS for time in believed(m)}
    for time in sorted(time for time in times if time <= moment):
        known = _until(group, time)
        root = localise(known, context.topology)
        suspects = _suspects(known, time, context, root)
        verdict = _verdict(known.members, suspects, root)
        blamed = _blamed(suspects, context.changes)
        if severity(known.members, verdict, blamed, context.asked, time) != "info":
            return time
    return None


def first_id(group: Group) -> UUID:
    """The id of an incident not stored yet: from its first detected member."""
    return uuid5(NAMESPACE, f"driftline|incident|{group.members[0].event_id}")


def _onset(members: Sequence[Episode]) -> int:
    """When what carries the incident began; a faint sign before it excuses no change.

    What only an hour's window shows began anywhere in it: where anything else tells when, that does.
    """
    carrying = [m for m in members if m.severity != "info"] or members
    told = [m.start for m in carrying if m.signal != ANSWERS or m.detected - m.start <= LONG]
    return min(told or (m.start for m in carrying))


def _blamed(suspects: Sequence[ScoredChange], changes: Sequence[Change]) -> Change | None:
    """The change that is to blame: what it was made to says where, however wide its effects are seen."""
    if not suspects or suspects[0].score < CONVINCING:
        return None
    return next(change for change in changes if change.change_id == suspects[0].change_id)


def _first(*times: int | None) -> int | None:
    return min((time for time in times if time is not None), default=None)


def _suspects(group: Group, moment: int, context: Context, root: dict[str, str]) -> list[ScoredChange]:
    """Changes made by then that may have caused it, the likeliest first; before all what only it can do."""
    made = {change.change_id: change for change in context.changes if change.at <= moment}
    ranked = rank(made.values(), _onset(group.members), context.topology.expand(shared(group) | root))
    least = max((s.score for s in ranked), default=0.0) - NEARLY
    return sorted(
        ranked,
        key=lambda s: s.score < max(least, CONVINCING) or not redirected(group.members, made[s.change_id]),
    )


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


def _speaker(group: Group, topology: Topology) -> dict[str, str]:
    """The producer that is silent or wrong, where telemetry says whose words the replicas' are."""
    producer = topology.speaker(i["replica"] for i in group.identities if "replica" in i)
    return {} if producer is None else {"producer": producer}


def _tells(member: Episode, verdict: Verdict) -> tuple[bool, bool, int, float]:
    """How well a member tells what an incident is about; the largest does best."""
    fits = member.symptom == verdict.symptom
    return harms(member), fits, SEVERITIES.index(member.severity), member.score


def _heading(verdict: Verdict, top: Episode) -> str:
    """What is wrong, in the words of somebody on call."""
    if verdict.symptom == "invalid_inference" and top.signal == LENGTHS:
        return "Misrouted"
    if verdict.symptom == "performance_degradation":
        if top.signal.startswith(_FAILING):
            return "Requests failing"
        if top.signal.startswith("hw."):
            return "Hardware"
        if not harms(top):
            return "Load changed"
    return _WORDS[verdict.symptom]


def harms(member: Episode) -> bool:
    """Whether a member's signal went the way that is worse, as far as its meaning says."""
    return member.worse is not None and not member.improves


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
