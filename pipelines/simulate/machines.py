"""What the machines report: GPU scrapes, engine gauges and counters, service-level metrics, heartbeats.

Running and waiting requests are counted from the simulated requests themselves; the rest follows the load
with
noise of its own. Counters are cumulative: faults change their rate, and the sum is taken at the end.
"""

from typing import cast

import numpy as np
from scipy.stats import poisson

from pipelines.simulate.arrays import Floats, Ints
from pipelines.simulate.episodes import SERVERS
from pipelines.simulate.fleet import SERVICES
from pipelines.simulate.streams import stream
from pipelines.simulate.tables import Table, Words, concat, take
from pipelines.simulate.traffic import wander

SCRAPE_S = 30
BEAT_S = 30
SERVICE_S = 60
_MEMORY_BYTES = {"H100": 80e9, "A100": 80e9, "L40S": 48e9}
_CLOCK_HZ = {"H100": 1.755e9, "A100": 1.41e9, "L40S": 2.52e9}
_POWER_W = {"H100": 700.0, "A100": 400.0, "L40S": 350.0}

#: Rates (a second) that become cumulative totals, and the wire field of each.
TOTALS = {
    "thermal_rate": "thermal_violation_s_total",
    "power_rate": "power_violation_s_total",
    "sbe_rate": "ecc_corrected_total",
    "dbe_rate": "ecc_uncorrected_total",
    "nvlink_rate": "nvlink_errors_total",
    "pcie_rate": "pcie_replay_total",
    "remap_rate": "remapped_rows_total",
}


def gpus(loads: dict[str, Floats], seed: int, words: Words, spans: Floats) -> Table:
    """GPU scrapes before faults, row by row in time order a GPU.

    Args:
        loads: each service's relative load by second.
        seed: of the world.
        words: of the coded columns.
        spans: servers x 2, the seconds from and to which a server is up.
    """
    tables = []
    for index, (service, server) in enumerate(SERVERS):
        load = loads[service.name]
        for slot, gpu in enumerate(server.gpus):
            draw = stream(seed, "gpu", gpu)
            time_s = np.arange(draw.uniform(0, SCRAPE_S), load.size, SCRAPE_S)
            noise = wander(draw, time_s.size, 6.0, rows=4)
            busy = np.clip(np.convolve(load, np.ones(60) / 60, "same")[time_s.astype(int)], 0.1, 2.5)
            use = np.clip(0.62 + 0.2 * (busy - 1) + 0.05 * noise[0], 0.02, 0.99)
            model = server.gpu_model or "H100"
            table: Table = {
                "t": time_s,
                "service": np.full(time_s.size, list(SERVICES).index(service.name)),
                "server": np.full(time_s.size, index),
                "gpu": np.full(time_s.size, words.code("gpu", gpu)),
                "utilization": use,
                "memory_used_bytes": np.rint(_MEMORY_BYTES[model] * (0.88 + 0.004 * noise[1]) / 2**20)
                * 2**20,
                "memory_total_bytes": np.full(time_s.size, _MEMORY_BYTES[model]),
                "power_w": _POWER_W[model] * np.clip(0.3 + 0.55 * use + 0.02 * noise[2], 0.1, 1.0),
                "temperature_c": 40 + 32 * use + slot + 1.2 * noise[3],
                "memory_temperature_c": 46 + 34 * use + slot + 1.2 * noise[3],
                "sm_clock_hz": _CLOCK_HZ[model] * (1 - 0.02 * use + 0.002 * noise[1]),
                "memory_clock_hz": np.full(time_s.size, 1.593e9),
                "throttle_reasons": np.full(time_s.size, -1),
                "xid": np.zeros(time_s.size),
                "lost": np.zeros(time_s.size, bool),
                "clock_s": np.zeros(time_s.size),
                "jitter": draw.random(time_s.size),
                "chance": draw.random((time_s.size, len(TOTALS))),
            }
            for column in TOTALS:
                table[column] = np.full(time_s.size, 0.0005 if column in ("sbe_rate", "pcie_rate") else 0.0)
            tables.append(take(table, (time_s >= spans[index, 0]) & (time_s < spans[index, 1])))
    return concat(tables)


def happened(expected: Floats, chance: Floats) -> Floats:
    """Poisson counts of the given means at the given chances: a higher mean only ever adds."""
    return np.asarray(poisson.ppf(chance, expected), float)


def running_total(grown: Floats, owner: Ints) -> Floats:
    """Cumulative sums within each run of equal owners."""
    first = np.flatnonzero(np.diff(owner, prepend=-2))
    total = np.cumsum(grown)
    before = total[first] - grown[first]
    return np.asarray(total - np.repeat(before, np.diff(np.append(first, total.size))))


def settle_gpus(table: Table) -> None:
    """Rates into cumulative totals, whole numbers where they count things; limits of the gauges."""
    chance = cast(Floats, table.pop("chance"))
    for place, (rate, total) in enumerate(TOTALS.items()):
        expected = cast(Floats, table.pop(rate)) * SCRAPE_S
        grown = expected if total.endswith("_s_total") else happened(expected, chance[:, place])
        table[total] = running_total(grown, cast(Ints, table["gpu"]))
    table["utilization"] = np.clip(cast(Floats, table["utilization"]), 0.0, 1.0)


def engines(requests: Table, loads: dict[str, Floats], seed: int, spans: Floats) -> Table:
    """Engine metrics of each replica, one wide row a scrape; what runs is counted from the requests."""
    tables = []
    start_s, server_of = cast(Floats, requests["t"]), requests["server"]
    leave_s = start_s + np.nan_to_num(cast(Floats, requests["queue_s"]), nan=0.05)
    end_s = start_s + cast(Floats, requests["duration_s"])
    for index, (service, server) in enumerate(SERVERS):
        if server.replica is None:
            continue
        load = loads[service.name]
        draw = stream(seed, "engine", server.producer)
        time_s = np.arange(draw.uniform(0, SCRAPE_S), load.size, SCRAPE_S)
        noise = wander(draw, time_s.size, 8.0, rows=2)
        mine = server_of == index
        came, left, done = np.sort(start_s[mine]), np.sort(leave_s[mine]), np.sort(end_s[mine])
        here = np.searchsorted(came, time_s) - np.searchsorted(done, time_s)
        queued = np.searchsorted(came, time_s) - np.searchsorted(np.minimum(left, np.inf), time_s)
        busy = np.clip(np.convolve(load, np.ones(60) / 60, "same")[time_s.astype(int)], 0.1, 2.5)
        rows = time_s.size
        table: Table = {
            "t": time_s,
            "service": np.full(rows, list(SERVICES).index(service.name)),
            "server": np.full(rows, index),
            "kv_cache_usage": np.clip(0.42 + 0.18 * (busy - 1) + 0.05 * noise[0], 0.01, 0.97),
            "requests_running": np.maximum(here - queued, 0).astype(float),
            "requests_waiting": np.maximum(queued, 0).astype(float),
            "prefix_cache_hit_ratio": np.clip(0.34 + 0.03 * noise[1], 0, 1),
            "preemption_rate": np.full(rows, 0.0005),
            "restart_rate": np.zeros(rows),
            "chance": draw.random((rows, 2)),
            "canary_match": draw.binomial(20, 0.995, rows) / 20.0,
            "lost": np.zeros(rows, bool),
            "clock_s": np.zeros(rows),
            "jitter": draw.random(rows),
        }
        tables.append(take(table, (time_s >= spans[index, 0]) & (time_s < spans[index, 1])))
    return concat(tables)


def services(seconds: int, seed: int) -> Table:
    """Service-level metrics, one wide row a minute: replicas ready and desired, feedback, canary."""
    tables = []
    for index, service in enumerate(SERVICES.values()):
        draw = stream(seed, "service", service.name)
        time_s = np.arange(draw.uniform(0, SERVICE_S), seconds, SERVICE_S)
        replicas = sum(server.replica is not None and not server.spare for server in service.servers)
        votes = 40
        tables.append(
            {
                "t": time_s,
                "service": np.full(time_s.size, index),
                "replicas_ready": np.full(time_s.size, replicas or np.nan, float),
                "replicas_desired": np.full(time_s.size, replicas or np.nan, float),
                "negative": np.full(time_s.size, 0.06),
                "voted": draw.random((time_s.size, votes)),
                "canary_score": np.clip(0.9 + 0.01 * wander(draw, time_s.size, 5.0)[0], 0, 1),
                "lost": np.zeros(time_s.size, bool),
                "clock_s": np.zeros(time_s.size),
                "jitter": draw.random(time_s.size),
            }
        )
    return concat(cast("list[Table]", tables))


def beats(seconds: int, seed: int, spans: Floats) -> Table:
    """Heartbeats: one row a beat of each producer."""
    tables = []
    for index, (service, server) in enumerate(SERVERS):
        draw = stream(seed, "beat", server.producer)
        time_s = np.arange(draw.uniform(0, BEAT_S), seconds, BEAT_S)
        time_s = time_s[(time_s >= spans[index, 0]) & (time_s < spans[index, 1])]
        tables.append(
            {
                "t": time_s,
                "service": np.full(time_s.size, list(SERVICES).index(service.name)),
                "server": np.full(time_s.size, index),
                "beat": np.arange(1, time_s.size + 1, dtype=float),
                "lost": np.zeros(time_s.size, bool),
                "clock_s": np.zeros(time_s.size),
                "jitter": draw.random(time_s.size),
            }
        )
    return concat(cast("list[Table]", tables))
