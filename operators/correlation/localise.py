"""Which entity an incident points at: the narrowest slice that holds all of its narrow evidence.

A member on a slice by replica, GPU, route or region says where; members over all of a service say nothing
against it. When several siblings are affected, what they have in common (a node, a region, a GPU model) is
the root, and when most of them are, nothing narrower than the service is.
"""

from collections.abc import Sequence

from operators.correlation.episodes import SEVERITIES, Episode, Topology
from operators.correlation.grouping import Group
from operators.correlation.suspects import PLATFORM

#: Narrow fields, the narrowest first.
NARROW = (
    "gpu",
    "replica",
    "producer",
    "tenant_hash",
    "node",
    "tp_group",
    "route",
    "gpu_model",
    "region",
    "provider",
)
#: An entity with this share of the evidence of its kind is singled out.
SINGLED = 0.7
#: Affecting more than this share of the known siblings is affecting all of them.
MOST = 0.6


#: Signals that say how much a place has to do.
ARRIVALS = "gen_ai.server.arrivals"
_LOAD = frozenset({ARRIVALS, "gen_ai.server.requests_running", "hw.gpu.utilization"})
#: Signals that say that requests wait, and the share of replicas that are few.
_WAITING = frozenset({"gen_ai.server.requests_waiting", "gen_ai.server.queue_time"})
FEW_OF = 0.4
#: What a replica with too many requests does, wherever they come from.
_EVICTING = "gen_ai.server.preemptions"
#: Narrow evidence below this share of an incident's evidence says nothing of its root.
SUBSTANTIAL = 0.15


def _weight(member: Episode) -> float:
    return min(member.score, 12.0) * (1.0 + SEVERITIES.index(member.severity))


def shared(group: Group) -> dict[str, str]:
    """The fields all members' slices share, with equal values."""
    return _common([dict(member.identity) for member in group.members])


def localise(group: Group, topology: Topology) -> dict[str, str]:
    """The root: shared fields plus the narrow ones the evidence singles out. May be empty."""
    root = shared(group)
    total = sum(_weight(member) for member in group.members)
    whole = max((_weight(m) for m in group.members if not m.identity.keys() & set(NARROW)), default=0.0)
    for name in NARROW:
        carrying = [i for i, m in zip(group.identities, group.members, strict=True) if name in m.identity]
        weights: dict[str, float] = {}
        for member in group.members:
            if name in member.identity:
                value = member.identity[name]
                weights[value] = weights.get(value, 0.0) + _weight(member)
        carried = sum(weights.values())
        if not weights or carried < SUBSTANTIAL * total:
            continue
        if name in PLATFORM and max(_weight(m) for m in group.members if name in m.identity) <= whole:
            continue  # the whole shows as much: the part has it from there
        top = max(weights, key=lambda value: (weights[value], value))
        known = topology.values(name, root.get("service")) | set(weights)
        if weights[top] >= SINGLED * carried and (len(known) > 1 or name in ("producer", "tenant_hash")):
            implied = next(identity for identity in carrying if identity[name] == top)
            root[name] = top
            root |= {
                other: implied[other]
                for other in ("replica", "node")
                if other in implied and other not in root
            }
        elif 1 < len(weights) <= MOST * len(known):
            root |= {
                key: value for key, value in _common(carrying).items() if key in NARROW and key not in root
            }
    if "replica" not in root and (crowded := overloaded(group, topology)):
        root["replica"] = max(crowded, key=lambda name: (crowded[name], name))
    return root


def _common(identities: Sequence[dict[str, str]]) -> dict[str, str]:
    first, *rest = identities
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in rest)}


def overloaded(group: Group, topology: Topology) -> dict[str, float]:
    """Replicas with more than their share of the load, and how clearly.

    Requests wait at them and at few others, or their load rose while it fell at more siblings. Where
    caches overflow, or more comes to the whole service, it is not the share that is too large.
    """
    if any(member.signal == _EVICTING and member.severity != "info" for member in group.members):
        return {}
    if any(m.signal == ARRIVALS and m.rises and not m.identity.keys() & set(NARROW) for m in group.members):
        return {}
    full: dict[str, float] = {}
    ways: dict[tuple[str, str | None], dict[bool, dict[str, float]]] = {}
    for member, identity in zip(group.members, group.identities, strict=True):
        if "replica" not in identity:
            continue
        replica, place = identity["replica"], (member.signal, identity.get("service"))
        if member.signal in _WAITING and member.severity != "info":
            full[replica] = full.get(replica, 0.0) + _weight(member)
        if member.signal in _LOAD:
            way = ways.setdefault(place, {}).setdefault(member.rises, {})
            way[replica] = way.get(replica, 0.0) + _weight(member)
    known = topology.values("replica", group.identities[0].get("service"))
    if full and len(full) <= FEW_OF * len(known):
        return full
    for both in ways.values():
        rose, fell = both.get(True, {}), both.get(False, {})
        only = {name: weight for name, weight in rose.items() if name not in fell}
        if only and len(fell.keys() - rose.keys()) >= max(2, len(only) + 1):
            return only
    return {}


def affected(group: Group) -> tuple[dict[str, str], ...]:
    """The distinct slices affected, in order of detection."""
    seen: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for member in group.members:
        seen.setdefault(tuple(sorted(member.identity.items())), dict(member.identity))
    return tuple(seen.values())
