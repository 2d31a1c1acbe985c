"""Scenarios dealt onto timelines, so that a whole catalogue is many short runs and few fault-free ones.

A few scenarios stay on one timeline, in the order given. Many are dealt by the seed, incidents and controls
apart: controls are their own twin, and all timelines of incidents share one, for they are equally long.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipelines.simulate.streams import stream
from pipelines.simulate.timeline import QUIET_S, WARM_UP_S, Order, listed, parse, parse_all, schedule

#: Timelines are about so long at most.
LONG_S = 40 * 3600.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """One run of ``seconds``, with scenarios as they are asked for; ``twin``: without the faults.

    ``quiet_s``: between one scenario and the next.
    """

    seed: int
    scenarios: tuple[str, ...]
    seconds: int
    twin: bool = False
    quiet_s: float = QUIET_S

    @property
    def name(self) -> str:
        """Of a file or folder: its seed and what it begins with."""
        return f"{self.seed}-{self.scenarios[0].split(':')[0]}-{len(self.scenarios)}" + "-twin" * self.twin


@dataclass(frozen=True, slots=True)
class Pair:
    """A timeline and the one without faults that it is held against."""

    faults: Timeline
    twin: Timeline


def deal(
    scenarios: Sequence[str], seed: int, longest_s: float = LONG_S, quiet_s: float = QUIET_S
) -> list[Pair]:
    """The timelines of one seed.

    Args:
        scenarios: as `pipelines.simulate.simulate` takes them.
        seed: of the world; where there are several timelines, also of who comes with whom.
        longest_s: above this length there are several.
        quiet_s: between one scenario and the next.

    Raises:
        UsageError: an unknown scenario.
    """
    names = listed(scenarios)
    parse_all(names)
    whole = _seconds(names, seed, quiet_s)
    if whole <= longest_s:
        faults = Timeline(seed, tuple(names), whole, quiet_s=quiet_s)
        return [Pair(faults, replace(faults, twin=True))]
    incidents = [name for name in names if parse(name).scenario.truth is not None]
    controls = [name for name in names if parse(name).scenario.truth is None]
    dealt = _dealt(incidents, seed, longest_s, quiet_s)
    seconds = max((_seconds(part, seed, quiet_s) for part in dealt), default=0)
    timelines = [Timeline(seed, tuple(part), seconds, quiet_s=quiet_s) for part in dealt]
    pairs = [Pair(each, replace(timelines[0], twin=True)) for each in timelines]
    for part in _dealt(controls, seed, longest_s, quiet_s):
        alone = Timeline(seed, tuple(part), _seconds(part, seed, quiet_s), quiet_s=quiet_s)
        pairs.append(Pair(alone, alone))
    return pairs


def _dealt(names: list[str], seed: int, longest_s: float, quiet_s: float) -> list[list[str]]:
    """Into as few parts as are short enough: the longest scenarios first, each to the shortest part."""
    if not names:
        return []
    order = [names[place] for place in stream(seed, "deal").permutation(len(names))]
    lengths = {name: _seconds([name], seed, quiet_s) - WARM_UP_S for name in order}
    count = max(1, round(sum(lengths.values()) / (longest_s - WARM_UP_S)))
    parts: list[list[str]] = [[] for _ in range(min(count, len(names)))]
    for name in sorted(order, key=lambda name: -lengths[name]):
        min(parts, key=lambda part: sum(lengths[other] for other in part)).append(name)
    return [sorted(part, key=order.index) for part in parts]


def _seconds(names: Sequence[str], seed: int, quiet_s: float) -> int:
    orders: list[Order] = parse_all(names)
    return schedule(orders, seed, quiet_s=quiet_s)[1]
