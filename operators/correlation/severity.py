"""How bad an incident is: what of it wakes somebody.

The worst of its members does, as each was known at the moment. Some things wake nobody alone, and do
together with a change made to their place, or when they come back.
"""

import math
from collections.abc import Sequence

from operators.correlation.episodes import SEVERITIES, Episode
from operators.correlation.evidence import ANSWERS, ASKED, LENGTHS, SOFTWARE, STRONG, Verdict
from operators.correlation.grouping import APART
from operators.correlation.localise import ARRIVALS
from operators.correlation.suspects import Change
from schemas.outputs import Severity

#: Moved answers are believed after this long (ms), or, where a window longer than `LONG` showed them, after
#: another of its length.
PATIENCE, LONG = 480_000, 1_800_000
#: Questions that moved this long (ms) before the answers did not move them.
LONG_BEFORE = 3_600_000
#: Moved answers below this score (-log10) page not even after a change, but for one made to their place.
SUSPICIOUS = 6.5
PACE = "gen_ai.server.time_per_output_token"
#: Signals of a replica that has too much to do.
CROWDED = tuple(
    f"gen_ai.server.{name}" for name in ("requests_waiting", "queue_time", "preemptions", "kv_cache_usage")
)
#: A pace that is this many times its usual is felt; waves of it are so far apart (ms), and score together.
SLOWED, WAVE, WAVES, SWING = 1.2, 300_000, 1_800_000, 15.0


def severity(
    members: Sequence[Episode],
    verdict: Verdict,
    blamed: Change | None,
    asked: Sequence[Episode],
    moment: int,
) -> Severity:
    """The worst member's as known then, lifted when enough signals agree; an input shift never pages."""
    enough = _enough(members, blamed)
    counted = [m for m in members if not m.suppressed]
    counted = [m for m in counted if m.signal != ANSWERS or _holds(m, asked, moment)]
    worst = max((_then(m, moment) for m in counted), default=0)
    if worst == 0 and (
        any(m.score >= enough and _suspicious(m, asked, moment) for m in members)
        or redirected(members, blamed)
        or _garbled(members, blamed)
        or swinging(members) is not None
    ):
        worst = 1
    if verdict.symptom == "input_shift":
        worst = 0
    return SEVERITIES[worst]


def _enough(members: Sequence[Episode], blamed: Change | None) -> float:
    """Score at which moved answers page after a change, though they would not alone.

    Where it was made to one place, and something else there is plain, any that are told.
    """
    if blamed is None:
        return math.inf
    plain = any(m.score >= STRONG and m.signal not in (ANSWERS, ASKED) for m in members)
    return 0.0 if plain and blamed.target.keys() & set(APART) else SUSPICIOUS


def redirected(members: Sequence[Episode], blamed: Change | None) -> bool:
    """Whether other requests than before come to a place whose routing was changed, unannounced.

    How many come is what such a change is made for; that they are of another length is not.
    """
    if blamed is None or blamed.change_type != "route" or blamed.expected:
        return False
    places = {(name, value) for name, value in blamed.target.items() if name in APART}
    there = [m for m in members if places & set(m.identity.items()) and not m.suppressed]
    lengths = [m.score for m in there if m.signal == LENGTHS]
    return bool(lengths) and (max(lengths) >= SUSPICIOUS or any(m.signal == ARRIVALS for m in there))


def _garbled(members: Sequence[Episode], blamed: Change | None) -> bool:
    """Whether what no sound answer holds came up where something was changed, and nobody said it would."""
    if blamed is None or blamed.expected:
        return False
    places = {name: value for name, value in blamed.target.items() if name in APART}
    return bool(places) and any(
        m.signal.startswith(SOFTWARE)
        and m.rises
        and not m.suppressed
        and m.start >= blamed.at
        and all(m.identity.get(name, value) == value for name, value in places.items())
        for m in members
    )


def swinging(members: Sequence[Episode]) -> str | None:
    """The replica whose pace slows and, waves later, does so in another series, which load does not explain.

    A neighbour on its host comes and goes: no wave lasts long enough to page by itself. The first may be seen
    in the whole of which the replica is a part.
    """
    slowed = [
        m for m in members if m.signal == PACE and not m.suppressed and m.observed >= SLOWED * m.baseline
    ]
    for other in slowed:
        replica = other.identity.get("replica")
        if replica is None or any(
            m.signal in CROWDED and m.identity.get("replica", replica) == replica for m in members
        ):
            continue
        if any(
            _tells_again(one, other)
            and WAVE <= other.start - one.start <= WAVES
            and one.score + other.score >= SWING
            for one in slowed
        ):
            return replica
    return None


def _tells_again(one: Episode, other: Episode) -> bool:
    """Whether it is of another statistic of the same slice, or of a whole that it is a part of."""
    if one.identity == other.identity:
        return one.statistic != other.statistic
    both = one.identity.keys() & other.identity.keys()
    return "replica" not in one.identity and all(one.identity[name] == other.identity[name] for name in both)


def _suspicious(member: Episode, asked: Sequence[Episode], moment: int) -> bool:
    """Whether it says that answers, not just their mix, have moved, and goes on saying so."""
    if member.signal != ANSWERS or member.statistic == "mix" or member.suppressed:
        return False
    return _lasting(member, believed(member)[0], moment) and not _asked(member, asked, moment)


def _holds(member: Episode, asked: Sequence[Episode], moment: int) -> bool:
    """Whether moved embeddings count: they have lasted, and the questions had not moved by then.

    What users ask moves answers too, and is seen to have moved some windows later.
    """
    if member.paged is None or not _lasting(member, believed(member)[-1], moment):
        return False
    return not _asked(member, asked, moment)


def believed(member: Episode) -> list[int]:
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


def _then(member: Episode, moment: int) -> int:
    paged = member.paged is not None and member.paged <= moment
    return SEVERITIES.index(member.severity) if paged else 0
