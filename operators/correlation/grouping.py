"""Which episodes are one incident: taken in order of detection, each joins an open group or founds one.

An episode joins a group when they overlap in time, share an entity (a service, or through the topology a
replica, node or GPU), and do not stand on different replicas, GPU models, providers or routes. Being apart
is forgiven when the same signal moved at the same moment, for independent faults do not start together, and
when the group is wide already: about all of a service, or about siblings that share no place.
The order is event time's, so running it again, or later, gives the same groups.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from operators.correlation.episodes import Episode, Topology
from operators.correlation.suspects import Change

#: Slices on these fields keep incidents apart when they differ.
APART = ("replica", "gpu_model", "provider", "route", "region", "node", "tp_group")
#: Sharing one of these ties two episodes together.
TIES = ("service", "replica", "node", "gpu", "tp_group", "producer")
_SAME, _TOGETHER = 3, 2


@dataclass(frozen=True, slots=True)
class Rules:
    """Times in ms.

    ``slack`` of the overlap; ``onset``: apart but starting together; ``chain``: how long after the last onset
    of a member that counts another may still join, and ``span`` how long after the first; ``faint``: how
    long a group none of whose members woke anybody takes others in; ``reopen``: how long a series that
    returns is the same.
    """

    slack: int = 120_000
    onset: int = 300_000
    chain: int = 1_200_000
    span: int = 10_800_000
    faint: int = 3_600_000
    reopen: int = 1_800_000


@dataclass(slots=True)
class Group:
    """The members of one incident so far, in order of detection; earliest onset and latest end, ms."""

    start: int
    end: int
    members: list[Episode] = field(default_factory=list)
    identities: list[dict[str, str]] = field(default_factory=list)
    latest: int = 0
    wide: bool = False
    serious: bool = False

    def add(self, member: Episode, identity: dict[str, str]) -> None:
        """Take a member in; ``identity`` is its expanded identity."""
        self.members.append(member)
        self.identities.append(identity)
        self.start = min(self.start, member.start)
        self.end = max(self.end, member.end)
        if _counts(member) or not self.latest:
            self.latest = max(self.latest, member.start)
        self.wide = self.wide or self._widened(member)
        self.serious = self.serious or member.severity != "info"

    def _widened(self, member: Episode) -> bool:
        """Whether it is now about more than one place: all of a service, or siblings that share no place."""
        if not _counts(member):
            return False
        places = [i for m, i in zip(self.members, self.identities, strict=True) if _counts(m)]
        if not member.identity.keys() & set(APART):
            return True
        return not any(name in places[0] and len({i.get(name) for i in places}) == 1 for name in APART)


def group(
    episodes: Iterable[Episode], topology: Topology, changes: Sequence[Change] = (), rules: Rules = Rules()
) -> list[Group]:
    """Groups in order of their first detection.

    Args:
        episodes: in any order.
        topology: what runs where.
        changes: those confined to a place begin something new, apart from what went on before.
        rules: times.
    """
    confined = [change for change in changes if change.target.keys() & set(APART)]
    groups: list[Group] = []
    for member in sorted(episodes, key=lambda e: (e.detected, e.start, *_places(e), str(e.event_id))):
        identity = topology.expand(member.identity)
        fitting = [
            (rank, len(found.members), -index)
            for index, found in enumerate(groups)
            if (rank := _fit(found, member, identity, rules))
            and (rank == _SAME or not _begun(found, member, identity, confined, rules))
        ]
        if fitting:
            groups[-max(fitting)[2]].add(member, identity)
        else:
            fresh = Group(member.start, member.end)
            fresh.add(member, identity)
            groups.append(fresh)
    return groups


def _fit(found: Group, member: Episode, identity: dict[str, str], rules: Rules) -> int:
    """How well a member fits a group; 0: not at all.

    The same series returning fits best, then the same signal that began at the same moment.
    """
    if member.start - rules.reopen > found.end or member.end + rules.slack < found.start:
        return 0
    faulty = member.symptom == "telemetry_fault"
    if faulty != (found.members[0].symptom == "telemetry_fault"):
        return 0
    if any(
        o.fingerprint == member.fingerprint and o.end + rules.reopen >= member.start for o in found.members
    ):
        return _SAME
    if not found.serious and member.detected > found.members[0].detected + rules.faint:
        return 0
    if member.start > min(found.end + rules.slack, found.latest + rules.chain, found.start + rules.span):
        return 0
    tied = [
        other
        for other, theirs in zip(found.members, found.identities, strict=True)
        if _tied(identity, theirs, faulty)
    ]
    if not tied:
        return 0
    if any(o.signal == member.signal and abs(o.start - member.start) <= rules.onset for o in tied):
        return _TOGETHER
    return int(found.wide or not any(_apart(identity, other) for other in found.identities))


def _begun(
    found: Group, member: Episode, identity: dict[str, str], changes: Sequence[Change], rules: Rules
) -> bool:
    """Whether a member began with a change to some place that the group was there before."""
    return any(
        change.at - rules.slack <= member.start <= change.at + rules.onset
        and found.start < change.at - rules.slack
        and change.target.get("service", "") == identity.get("service", "")
        and all(identity.get(name, value) == value for name, value in change.target.items() if name in APART)
        for change in changes
    )


def _places(member: Episode) -> tuple[bool, int]:
    """What carries an incident comes before what accompanies it, and the whole before its parts."""
    return not _counts(member), len(member.identity.keys() & set(APART))


def _counts(member: Episode) -> bool:
    """Whether a member carries its incident: what only accompanies it draws no others in."""
    return member.severity != "info" or (member.kind == "embedding_drift" and member.statistic != "mix")


def _tied(one: dict[str, str], other: dict[str, str], faulty: bool) -> bool:
    if "environment" in one and "environment" in other and one["environment"] != other["environment"]:
        return False
    ties = ("producer", "replica", "node") if faulty else TIES
    return any(name in one and one[name] == other.get(name) for name in ties)


def _apart(one: dict[str, str], other: dict[str, str]) -> bool:
    return any(name in one and name in other and one[name] != other[name] for name in APART)
