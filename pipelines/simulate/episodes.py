"""A scenario at a time and place: which rows it strikes, how hard at each moment, and what it does."""

import hashlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from pipelines.simulate.arrays import Bools, Floats
from pipelines.simulate.fleet import SERVICES, Server, Service, server_fields
from pipelines.simulate.scenario import Effect, Scenario, strength
from pipelines.simulate.streams import stream
from pipelines.simulate.tables import Table, Words, length

#: Every server of the fleet, in the order of the ``server`` column.
SERVERS: tuple[tuple[Service, Server], ...] = tuple(
    (service, server) for service in SERVICES.values() for server in service.servers
)
_SERVER_FIELDS = [
    server_fields(service, server) | {"producer": server.producer} for service, server in SERVERS
]

#: Columns that hold codes of words, so that a text may be put into them.
CODED = frozenset(
    {"task", "route", "tenant_hash", "session_hash", "language", "status", "error_type", "finish_reason"}
    | {"service_version", "prompt_version", "quantization", "decode_params_hash", "response_model"}
    | {"throttle_reasons", "embedder_version"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """What an episode strikes: the service's rows with one of ``fields``' values.

    A field that a table does not know confines nothing there. ``identity`` confines all that is touched,
    ``root`` names what to find.
    """

    service: Service
    fields: dict[str, tuple[str, ...]]
    identity: dict[str, str | list[str]]
    root: dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Episode:
    """One scenario on the timeline; times in seconds from its start."""

    scenario: Scenario
    label: str
    number: int
    magnitude: int
    share: float
    onset_s: float
    end_s: float
    place: Place
    seed: int

    def value(self, triple: Any) -> Any:
        """The entry of a triple for this magnitude."""
        return strength(triple, self.magnitude)

    def random(self, *name: str | int) -> np.random.Generator:
        """A stream of this episode's own."""
        return stream(self.seed, "episode", self.number, self.scenario.id, *name)

    def active(self, time_s: Floats) -> Bools:
        """Whether the episode strikes at these times."""
        on = (time_s >= self.onset_s) & (time_s < self.end_s)
        if self.scenario.shape == "intermittent":
            on &= np.mod(time_s - self.onset_s, self.scenario.period_s) < self.scenario.on_s
        return on

    def intensity(self, time_s: Floats) -> Floats:
        """How far the episode has unfolded at these times, 0 to 1; 0 outside."""
        if self.scenario.shape != "ramp":
            return self.active(time_s).astype(float)
        grown = (time_s - self.onset_s) / (self.scenario.ramp_s or self.end_s - self.onset_s)
        return np.where(self.active(time_s), np.clip(grown, 0.0, 1.0), 0.0)

    def covers(self, table: Table, words: Words, *, peers: bool = False) -> Bools:
        """Rows of ``table`` at the episode's place (or, ``peers``, at the service's other servers)."""
        rows = np.ones(length(table), bool)
        servers = [service is self.place.service for service, _ in SERVERS]
        inside = [
            all(fields.get(name) in values for name, values in self.place.fields.items() if _of_server(name))
            for fields in _SERVER_FIELDS
        ]
        if "server" in table:
            wanted = [mine and here is not peers for mine, here in zip(servers, inside, strict=True)]
            rows &= np.asarray(wanted)[table["server"]]
        else:
            rows &= table["service"] == list(SERVICES).index(self.place.service.name)
        for name, values in self.place.fields.items():
            if name in table and not _of_server(name):
                rows &= np.isin(table[name], words.codes(name, values))
        return rows

    def strike(self, table: Table, words: Words) -> Bools:
        """Which request rows the episode strikes at all, by its share (drawn by row or by session)."""
        scenario, time_s = self.scenario, cast(Floats, table["t"])
        on = self.covers(table, words) & self.active(time_s)
        draw = self.random("share")
        if scenario.sticky:
            sessions = words.values("session_hash")
            salt = int(draw.integers(2**62))
            uniform = np.array([_uniform(name, salt) for name in sessions])[table["session_hash"]]
        else:
            uniform = draw.random(length(table))
        grown = self.intensity(time_s) if scenario.grows == "share" else 1.0
        return cast(Bools, on & (uniform < self.share * grown))


def apply(effect: Effect, place: int, episode: Episode, table: Table, words: Words, struck: Bools) -> None:
    """Change one column of ``table`` in place, on the struck rows, as far as the episode has unfolded."""
    time_s = cast(Floats, table["t"])
    first, last = episode.onset_s, episode.end_s
    begin = first + max(effect.delay_s, (last - first) * effect.since)
    span = (time_s >= begin) & (time_s < first + (last - first) * effect.until)
    uniform = episode.random("effect", place).random(length(table))
    rows = np.flatnonzero(struck & span & (uniform < episode.value(effect.share)))
    if not rows.size:
        return
    by = episode.value(effect.by)
    grows = episode.scenario.grows == "strength"
    grown = episode.intensity(time_s[rows]) if grows else np.ones(rows.size)
    column = table[effect.column]
    if effect.op == "put":
        column[rows] = words.code(effect.column, by) if effect.column in CODED else by
    elif effect.op == "scale":
        column[rows] = cast(Floats, column)[rows] * (1 + (by - 1) * grown)
    elif effect.op == "shift":
        column[rows] = cast(Floats, column)[rows] + by * grown
    else:
        column[rows] = cast(Floats, column)[rows] + (by - cast(Floats, column)[rows]) * grown


def affect(name: str, table: Table, episodes: list[Episode], words: Words) -> None:
    """Let every episode's effects act on one table of machines (not requests)."""
    for episode in episodes:
        for place, effect in enumerate(episode.scenario.effects):
            if effect.table == name:
                here = episode.covers(table, words, peers=effect.peers)
                struck = here & episode.active(cast(Floats, table["t"]))
                apply(effect, place, episode, table, words, struck)


def move(episode: Episode, table: Table, words: Words, struck: Bools) -> Bools:
    """Let an episode's `Move` send requests elsewhere; returns the rows that the episode strikes after it."""
    order = episode.scenario.move
    if order is None:
        return struck
    time_s = cast(Floats, table["t"])
    from_ = struck
    if order.to == "here":
        from_ = episode.covers(table, words, peers=True) & episode.active(time_s)
    draw = episode.random("move")
    rows = np.flatnonzero(from_ & (draw.random(time_s.size) < episode.value(order.share)))
    here = set(episode.place.fields.get("replica", ()))
    servers = [
        index
        for index, (service, server) in enumerate(SERVERS)
        if service is episode.place.service and _takes(order.to, server, server.replica in here)
    ]
    table["server"][rows] = np.asarray(servers)[draw.integers(len(servers), size=rows.size)]
    if order.to == "long_context":
        table["route"][rows] = words.code("route", "long")
    return episode.strike(table, words) if order.to == "here" else struck


def _takes(to: str, server: Server, here: bool) -> bool:
    if to in ("long_context", "spare"):
        return server.long_context if to == "long_context" else server.spare
    return here if to == "here" else not (here or server.spare or server.long_context)


def _of_server(field: str) -> bool:
    return field in {"replica", "region", "node", "gpu_model", "tp_group", "producer"}


def _uniform(name: str, salt: int) -> float:
    digest = hashlib.blake2b(name.encode(), digest_size=8, key=salt.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little") / 2**64
