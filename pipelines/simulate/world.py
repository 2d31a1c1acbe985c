"""One simulated timeline from seed to samples: traffic, faults, outcomes, machines, in that order."""

from dataclasses import dataclass
from typing import cast

import numpy as np

from pipelines.simulate import machines, outcome
from pipelines.simulate.arrays import Bools, Floats, Ints
from pipelines.simulate.embedder import embed
from pipelines.simulate.episodes import SERVERS, Episode, affect, apply, move
from pipelines.simulate.fleet import SERVICES, Service
from pipelines.simulate.samples import Samples
from pipelines.simulate.tables import Table, Words, concat, take
from pipelines.simulate.traffic import Clock, base_rate, requests, surge_rate

#: Requests added by surges are numbered from here, so that the others keep their numbers.
_ADDED, _OF_SERVICE = 1 << 32, 1 << 40


@dataclass(slots=True)
class World:
    """The samples of a timeline, by form, and how much harm each episode did in each second."""

    requests: Table
    embeddings: Table
    gpu: Table
    metrics: Table
    words: Words
    harmed: list[Floats]

    def replay(self, episode: Episode) -> None:
        """Deliver the last of every topic once more, within a minute, where the episode says so."""
        back_s = episode.scenario.replay_s
        if not back_s:
            return
        for form in ("requests", "embeddings", "gpu", "metrics"):
            table: Table = getattr(self, form)
            arrival = cast(Floats, table["arrival"])
            again = take(table, (arrival >= episode.onset_s - back_s) & (arrival < episode.onset_s))
            again["arrival"] = (
                episode.onset_s + (cast(Floats, again["arrival"]) - episode.onset_s + back_s) * 60 / back_s
            )
            both = concat([table, again])
            setattr(self, form, take(both, np.argsort(cast(Floats, both["arrival"]), kind="stable")))


def build(clock: Clock, seed: int, episodes: list[Episode]) -> World:
    """Simulate a timeline with the given episodes; a twin is the same call with fewer of them.

    Streams are taken by name and by the episode's own number, so what an episode does not touch is the
    same with and without it.
    """
    words = Words()
    samples = Samples(clock.start_ms, words)
    harmed = [np.zeros(clock.seconds) for _ in episodes]
    tables, vectors, loads = [], [], {}
    for service in SERVICES.values():
        rate = base_rate(service, clock, seed)
        mine = [episode for episode in episodes if episode.place.service is service]
        added = [(episode, surge_rate(episode, rate)) for episode in mine]
        loads[service.name] = (rate + _unserved(added, clock)) / service.rate
        parts = [requests(service, clock, rate, seed, words)]
        for episode, extra in added:
            if extra.any():
                parts.append(_added(service, clock, extra, episode, words))
        for number, table in enumerate(parts):
            offset = (_ADDED * number) + list(SERVICES).index(service.name) * _OF_SERVICE
            table["request"] = cast(Ints, table.pop("number")) + offset
            _strike(table, episodes, harmed, mine, words)
            outcome.resolve(service, table, loads[service.name], seed, words)
            table["scripts"] = np.array([*outcome.scripts(table, words, seed), None], object)[:-1]
            done = take(table, _embedded(table, clock, words))
            vectors.append((done, *embed(done, words, seed, service.name, number)))
            tables.append(table)
    everything = concat(tables)
    completed = cast(Floats, everything["t"]) + cast(Floats, everything["duration_s"]) < clock.seconds
    spans = _spans(episodes)
    gpu = machines.gpus(loads, seed, words, spans)
    engine = machines.engines(everything, loads, seed, spans)
    service_table, beats = machines.services(clock.seconds, seed), machines.beats(clock.seconds, seed, spans)
    for name, table in (("gpu", gpu), ("engine", engine), ("service", service_table), ("beats", beats)):
        affect(name, table, episodes, words)
    machines.settle_gpus(gpu)
    joined = concat([done for done, _, _ in vectors])
    prompt = np.concatenate([each for _, each, _ in vectors])
    answer = np.concatenate([each for _, _, each in vectors])
    return World(
        requests=samples.requests(everything, completed),
        embeddings=samples.embeddings(joined, prompt, answer),
        gpu=samples.gpus(gpu),
        metrics=samples.metrics(engine, service_table, beats),
        words=words,
        harmed=harmed,
    )


def _unserved(added: list[tuple[Episode, Floats]], clock: Clock) -> Floats:
    """Arrivals a second that no capacity comes with: they fill the servers there are."""
    extra = np.zeros(clock.seconds)
    for episode, more in added:
        surge = episode.scenario.surge
        if surge is not None and not surge.served:
            extra += more
    return extra


def _added(service: Service, clock: Clock, extra: Floats, episode: Episode, words: Words) -> Table:
    table = requests(service, clock, extra, episode.seed, words, name=("surge", episode.number))
    tenant = episode.place.root.get("tenant_hash")
    if isinstance(tenant, str):
        table["tenant_hash"] = np.full(table["t"].size, words.code("tenant_hash", tenant))
    return table


def _strike(
    table: Table, episodes: list[Episode], harmed: list[Floats], mine: list[Episode], words: Words
) -> None:
    """Let each episode of the service act on its requests, and note whom it harmed."""
    for index, episode in enumerate(episodes):
        if episode not in mine:
            continue
        struck = episode.strike(table, words)
        struck = move(episode, table, words, struck)
        for place, effect in enumerate(episode.scenario.effects):
            if effect.table == "requests":
                apply(effect, place, episode, table, words, struck)
        time_s = cast(Floats, table["t"])
        grown = episode.intensity(time_s) if episode.scenario.grows == "strength" else 1.0
        harm = np.where(struck, episode.value(episode.scenario.depth) * grown, 0.0)
        harmed[index] += np.bincount(time_s.astype(np.int64), harm, minlength=harmed[index].size)


def _embedded(table: Table, clock: Clock, words: Words) -> Bools:
    """Requests of which both sides are embedded: those of the drawn share that were answered in time."""
    answered = table["status"] == words.code("status", "ok")
    done = cast(Floats, table["t"]) + cast(Floats, table["duration_s"]) < clock.seconds
    return cast(Bools, answered & done & table["embedded"])


def _spans(episodes: list[Episode]) -> Floats:
    """When each server is up, servers x 2, in seconds: spares only while an episode sends them requests."""
    spans = np.array([[np.inf, np.inf] if server.spare else [0.0, np.inf] for _, server in SERVERS])
    for episode in episodes:
        if episode.scenario.move is not None and episode.scenario.move.to == "spare":
            for index, (service, server) in enumerate(SERVERS):
                if server.spare and service is episode.place.service:
                    spans[index] = [min(spans[index, 0], episode.onset_s), episode.end_s]
    return spans
