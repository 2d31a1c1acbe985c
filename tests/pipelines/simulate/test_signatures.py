"""Each scenario leaves the telemetry signature it is known by, which its fault-free twin does not have."""

from collections.abc import Callable

import numpy as np
import pytest

from pipelines.simulate.episodes import Episode
from pipelines.simulate.outcome import ALIEN_SCRIPT
from pipelines.simulate.tables import Table, take
from pipelines.simulate.timeline import parse_all, schedule
from pipelines.simulate.traffic import Clock
from pipelines.simulate.world import World, build

START_MS = 1_767_571_200_000
Measure = Callable[[World, Table], float]


@pytest.fixture(scope="module")
def worlds() -> tuple[dict[str, Episode], World, World]:
    orders = parse_all(
        [f"{name}:strong:duration=900" for name in dict.fromkeys(name for name, _, _ in SIGNATURES)]
    )
    episodes, seconds = schedule(orders, 8, warm_up_s=600, quiet_s=300)
    clock = Clock(START_MS, seconds)
    controls = [episode for episode in episodes if episode.scenario.truth is None]
    return {each.scenario.id: each for each in episodes}, build(clock, 8, episodes), build(clock, 8, controls)


def during(world: World, form: str, episode: Episode) -> Table:
    """The samples of the second half of an episode, of its place or, where it strikes all, of its service."""
    table: Table = getattr(world, form)
    words = world.words
    from_ms = START_MS + (episode.onset_s + episode.end_s) * 500
    rows = (table["event_time"] >= from_ms) & (table["event_time"] < START_MS + episode.end_s * 1000)
    rows &= table["service"] == words.code("service", episode.place.service.name)
    for name, values in episode.place.fields.items():
        if name in table:
            rows &= np.isin(table[name], words.codes(name, values))
    return take(table, rows)


def median(column: str) -> tuple[str, Measure]:
    return "requests", lambda world, table: float(np.nanmedian(np.asarray(table[column], float)))


def quantile(column: str, rank: float) -> tuple[str, Measure]:
    return "requests", lambda world, table: float(np.nanquantile(np.asarray(table[column], float), rank))


def share(column: str, value: str) -> tuple[str, Measure]:
    def measure(world: World, table: Table) -> float:
        completed = table["status"] != world.words.code("status", "started")
        return float((table[column][completed] == world.words.code(column, value)).mean())

    return "requests", measure


def alien() -> tuple[str, Measure]:
    def measure(world: World, table: Table) -> float:
        return float(np.mean([ALIEN_SCRIPT in shares for shares in table["scripts"].tolist() if shares]))

    return "requests", measure


def gpu(column: str) -> tuple[str, Measure]:
    return "gpu", lambda world, table: float(np.nanmean(np.asarray(table[column], float)))


def metric(signal: str) -> tuple[str, Measure]:
    def measure(world: World, table: Table) -> float:
        return float(np.mean(table["value"][table["signal"] == world.words.code("signal", signal)]))

    return "metrics", measure


def count(form: str) -> tuple[str, Measure]:
    return form, lambda world, table: float(table["event_time"].size)


def spread(side: str) -> tuple[str, Measure]:
    """How far a side's mean vector lies from the origin: it moves when answers move together."""

    def measure(world: World, table: Table) -> float:
        rows = table["side"] == world.words.code("side", side)
        return float(np.linalg.norm(np.asarray(table["vector"], float)[rows].mean(axis=0)))

    return "embeddings", measure


MORE, LESS, SAME = "more", "less", "same"
SIGNATURES: list[tuple[str, tuple[str, Measure], str]] = [
    ("P01", median("tpot_s"), MORE),
    ("P01", gpu("temperature_c"), MORE),
    ("P01", gpu("sm_clock_hz"), LESS),
    ("P01", gpu("power_w"), LESS),
    ("P02", gpu("ecc_corrected_total"), MORE),
    ("P02", gpu("xid"), MORE),
    ("P03", median("tpot_s"), MORE),
    ("P03", gpu("utilization"), LESS),
    ("P03", gpu("nvlink_errors_total"), MORE),
    ("P04", metric("gen_ai.server.kv_cache_usage"), MORE),
    ("P04", quantile("duration_s", 0.99), MORE),
    ("P04", median("tpot_s"), SAME),
    ("P05", gpu("sm_clock_hz"), SAME),
    ("P06", share("status", "ok"), LESS),
    ("P06", share("status", "timeout"), MORE),
    ("P07", median("tpot_s"), LESS),
    ("P07", median("entropy"), MORE),
    ("P08", share("finish_reason", "length"), MORE),
    ("P08", median("duration_s"), MORE),
    ("P08", median("tpot_s"), SAME),
    ("P08", spread("output"), MORE),
    ("P09", spread("output"), MORE),
    ("P09", spread("prompt"), SAME),
    ("P10", spread("prompt"), MORE),
    ("P10", median("tpot_s"), SAME),
    ("P11", share("route", "long"), MORE),
    ("P12", alien(), MORE),
    ("P13", quantile("repetition_ratio", 0.5), MORE),
    ("P13", share("finish_reason", "length"), MORE),
    ("P14", median("top1_probability"), LESS),
    ("P15", metric("gen_ai.canary.match_ratio"), LESS),
    ("P16", spread("output"), MORE),
    ("P17", count("requests"), MORE),
    ("P17", median("queue_s"), MORE),
    ("P18", count("requests"), MORE),
    ("P18", median("queue_s"), MORE),
    ("P19", count("requests"), LESS),
    ("P19", count("gpu"), SAME),
    ("P20", count("requests"), LESS),
    ("P21", share("error_type", "connection_refused"), MORE),
    ("P21", metric("gen_ai.server.restarts"), MORE),
    ("P22", share("error_type", "out_of_memory"), MORE),
    ("P23", share("finish_reason", "content_filter"), MORE),
    ("P23", median("duration_s"), LESS),
    ("P24", metric("gen_ai.server.prefix_cache_hit_ratio"), MORE),
    ("P24", median("ttft_s"), LESS),
    ("P25", median("input_tokens"), LESS),
    ("P25", spread("prompt"), MORE),
    ("P26", median("entropy"), MORE),
    ("P26", spread("output"), LESS),
]


@pytest.mark.parametrize(
    ("name", "how", "expected"), SIGNATURES, ids=[f"{s[0]}-{i}" for i, s in enumerate(SIGNATURES)]
)
def test_signature(
    worlds: tuple[dict[str, Episode], World, World], name: str, how: tuple[str, Measure], expected: str
) -> None:
    episodes, faulty, clean = worlds
    form, measure = how
    ours = measure(faulty, during(faulty, form, episodes[name]))
    theirs = measure(clean, during(clean, form, episodes[name]))
    change = (ours - theirs) / max(abs(theirs), 1e-9)
    if expected == SAME:
        assert abs(change) < 0.03
    else:
        assert change > 0.03 if expected == MORE else change < -0.03
