"""A scenario, declared: what it does to whom, how it unfolds, and what a right answer to it is.

Strengths come in threes, (weak, mid, strong), or as one number where the magnitude does not matter.
An effect acts on the rows of one table of the simulated world (`pipelines.simulate.tables`) that the
scenario's place covers, while it lasts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.simulate.labels import Shape

Strength = float | tuple[float, float, float]
TableName = Literal["requests", "gpu", "engine", "service", "beats"]
Op = Literal["scale", "shift", "toward", "put"]
At = Literal["service", "servers", "replica", "gpu", "gpu_model", "route", "tenant", "task", "producer"]


@dataclass(frozen=True, slots=True)
class Effect:
    """One change to one column, at full strength ``by`` where the intensity is 1.

    ``share`` is the part of the touched rows that it hits, drawn anew for each row. It begins ``delay_s``
    after the onset or at the fraction ``since`` of the duration, and ends at the fraction ``until``.
    ``peers``: it hits the rows of the service's other servers instead.
    """

    table: TableName
    column: str
    op: Op
    by: Strength | str | bool
    share: Strength = 1.0
    delay_s: float = 0.0
    since: float = 0.0
    until: float = 1.0
    peers: bool = False


def scale(table: TableName, column: str, by: Strength, **more: Any) -> Effect:
    """Multiply by ``by``."""
    return Effect(table, column, "scale", by, **more)


def shift(table: TableName, column: str, by: Strength, **more: Any) -> Effect:
    """Add ``by``."""
    return Effect(table, column, "shift", by, **more)


def toward(table: TableName, column: str, to: Strength, **more: Any) -> Effect:
    """Move to ``to``."""
    return Effect(table, column, "toward", to, **more)


def put(table: TableName, column: str, value: Strength | str | bool, **more: Any) -> Effect:
    """Replace by ``value``."""
    return Effect(table, column, "put", value, **more)


@dataclass(frozen=True, slots=True)
class Surge:
    """More requests: the arrivals of the place times ``factor`` (of one tenant, if the place is one).

    ``hump``: they swell and subside. ``served``: capacity grows with them, so nobody waits longer.
    """

    factor: Strength
    hump: bool = False
    served: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """A share of requests answered elsewhere.

    ``long_context``, ``spare``: the place's requests, by such servers. ``here``: the other servers' requests,
    by the place's. ``away``: the place's requests, by the others.
    """

    to: Literal["long_context", "spare", "here", "away"]
    share: Strength


@dataclass(frozen=True, slots=True)
class Change:
    """The change that goes with a scenario. ``sets``: its target's identity beside the place's."""

    type: str
    summary: str
    from_: str | None = None
    to: str | None = None
    sets: Mapping[str, str] = field(default_factory=dict)
    expected: bool | None = None
    reverted: bool = True
    lead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Truth:
    """Accepted answers, the first of each being the truth."""

    symptom: tuple[str, ...]
    layer: tuple[str, ...]
    action: tuple[str, ...]
    kind: tuple[str, ...] = ("reliability",)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One entry of the catalogue. ``truth`` is None for a control, which the fault-free twin keeps.

    Attributes:
        at: what the scenario strikes; which one of its kind is drawn from the seed.
        share: the part of the place's requests that is struck.
        sticky: that part is drawn by session, not by request.
        grows: what a ramp ramps: the strength of the effects or the share of requests.
        depth: how much harm comes to one struck request, 0 (users feel nothing) to 1.
        root: the identity fields of the place that name what to find.
        names: identity fields and values that confine the scenario beside those of its place.
        unconfined: fields of the place that do not confine it.
        silent: must_stay_silent; the value ``"others"`` stands for every other value of that field in the
            service.
        period_s: of an intermittent one, with ``on_s`` of it struck.
        parts: (scenario, delay in s) for one that is several at once.
        replay_s: the last so many seconds of every topic are delivered once more at the onset.
    """

    id: str
    title: str
    truth: Truth | None
    effects: tuple[Effect, ...] = ()
    service: str = "chat-api"
    at: At = "service"
    duration_s: float = 2700.0
    shape: Shape = "step"
    ramp_s: float = 0.0
    period_s: float = 0.0
    on_s: float = 0.0
    share: Strength = 1.0
    sticky: bool = False
    grows: Literal["strength", "share"] = "strength"
    depth: Strength = (0.2, 0.4, 0.7)
    root: tuple[str, ...] = ("service",)
    names: Mapping[str, Any] = field(default_factory=dict)
    unconfined: tuple[str, ...] = ()
    silent: tuple[Mapping[str, Any], ...] = ()
    min_severity: str = "warning"
    change: Change | None = None
    surge: Surge | None = None
    move: Move | None = None
    parts: tuple[tuple[str, float], ...] = ()
    replay_s: float = 0.0


def strength(value: Strength | str | bool, magnitude: int) -> Any:
    """The entry of a triple for a magnitude (0 weak, 1 mid, 2 strong); anything else is itself."""
    return value[magnitude] if isinstance(value, tuple) else value
