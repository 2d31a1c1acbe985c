"""The simulated tables as samples of the wire's topics: names, identity, producers and their numbering.

A sample table has the wire's field names as columns (texts still coded), ``event_time`` in Unix ms, and
``arrival`` in seconds, by which its topic's files are ordered.
"""

from typing import cast

import numpy as np

from pipelines.simulate import machines
from pipelines.simulate.arrays import Bools, Floats, Ints
from pipelines.simulate.embedder import DIM, Vectors
from pipelines.simulate.episodes import SERVERS
from pipelines.simulate.fleet import SERVICES, server_fields
from pipelines.simulate.tables import Column, Table, Words, concat, length, take

_ROW_IDENTITY = (
    *("service_version", "response_model", "quantization", "prompt_version", "decode_params_hash"),
    *("route", "task", "tenant_hash", "session_hash"),
)
_SERVICE_IDENTITY = ("environment", "service", "cluster")
_MEASURES = (
    *("ttft_s", "tpot_s", "duration_s", "queue_s", "input_tokens", "output_tokens", "top1_probability"),
    *("entropy", "repetition_ratio", "nan_count", "refused", "parse_failed", "pii_flagged"),
)
_ENGINE = {
    "kv_cache_usage": ("gen_ai.server.kv_cache_usage", "1", None),
    "requests_running": ("gen_ai.server.requests_running", "1", None),
    "requests_waiting": ("gen_ai.server.requests_waiting", "1", None),
    "prefix_cache_hit_ratio": ("gen_ai.server.prefix_cache_hit_ratio", "1", 200),
    "preemptions": ("gen_ai.server.preemptions", "1", None),
    "restarts": ("gen_ai.server.restarts", "1", None),
    "canary_match": ("gen_ai.canary.match_ratio", "1", 20),
}
_SERVICE = {
    "replicas_ready": ("gen_ai.server.replicas_ready", "1", None),
    "replicas_desired": ("gen_ai.server.replicas_desired", "1", None),
    "feedback": ("gen_ai.feedback.negative_ratio", "1", 40),
    "canary_score": ("gen_ai.canary.score", "1", 20),
}


class Samples:
    """Turns tables into samples of one timeline."""

    def __init__(self, start_ms: int, words: Words) -> None:
        self._start_ms = start_ms
        self._words = words

    def requests(self, table: Table, completed: Bools) -> Table:
        """Starts and completions."""
        started = self._identity(table, _ROW_IDENTITY, "request_model")
        started |= self._request(table, cast(Floats, table["t"]), "start_jitter")
        started["status"] = np.full(length(table), self._words.code("status", "started"))
        done = take(table, completed)
        ended = self._identity(done, _ROW_IDENTITY, "request_model")
        ended |= self._request(done, cast(Floats, done["t"]) + cast(Floats, done["duration_s"]), "end_jitter")
        ended |= {
            name: done[name] for name in ("status", "error_type", "finish_reason", *_MEASURES, "scripts")
        }
        ended["traced"] = done["traced"]
        room = np.where(done["route"] == self._words.code("route", "long"), 131_072.0, 16_384.0)
        ended["max_context_tokens"] = np.where(cast(Floats, done["input_tokens"]) > 0, room, np.nan)
        return self._sent(concat([started, ended]))

    def embeddings(self, table: Table, prompt: Vectors, answer: Vectors) -> Table:
        """Both sides of the given completed requests, the prompt's vector made at its start."""
        sides = []
        for side, vectors in (("prompt", prompt), ("output", answer)):
            lasted = cast(Floats, table["duration_s"]) if side == "output" else np.zeros(length(table))
            time_s = cast(Floats, table["t"]) + 0.05 + lasted
            rows = self._identity(table, _ROW_IDENTITY, "request_model")
            rows |= self._request(table, time_s, "start_jitter" if side == "prompt" else "end_jitter")
            rows["side"] = np.full(length(table), self._words.code("side", side))
            rows["embedder_version"] = table["embedder_version"]
            rows["dim"] = np.full(length(table), float(DIM))
            rows["dtype"] = self._constant(table, "dtype", "f16")
            rows["vector"] = vectors
            sides.append(rows)
        return self._sent(concat(sides))

    def gpus(self, table: Table) -> Table:
        """GPU scrapes."""
        rows = self._identity(table, ())
        nodes = [self._words.code("producer", f"dcgm-{server.node}") for _, server in SERVERS]
        rows["producer"] = np.asarray(nodes)[cast(Ints, table["server"])]
        skip = {"t", "service", "server", "lost", "clock_s", "jitter"}
        rows |= {name: column for name, column in table.items() if name not in skip}
        return self._sent(rows | self._when(table, cast(Floats, table["t"]), cast(Floats, table["jitter"])))

    def metrics(self, engine: Table, service: Table, beats: Table) -> Table:
        """Everything on ``telemetry.metrics.v1``."""
        engine = engine | {
            "preemptions": _total(engine, "preemption_rate", 0),
            "restarts": _total(engine, "restart_rate", 1),
            "kv_cache_usage": np.clip(cast(Floats, engine["kv_cache_usage"]), 0, 1),
            "requests_waiting": np.rint(cast(Floats, engine["requests_waiting"])),
        }
        voted = cast(Floats, service["voted"]) < cast(Floats, service["negative"])[:, None]
        service = service | {"feedback": voted.mean(axis=1)}
        beat = {"beat": ("producer.heartbeat", "1", None)}
        parts = [self._metric(engine, name, *of) for name, of in _ENGINE.items()]
        parts += [self._metric(service, name, *of) for name, of in _SERVICE.items()]
        parts += [self._metric(beats, name, *of) for name, of in beat.items()]
        return self._sent(concat(parts))

    def _metric(self, table: Table, name: str, signal: str, unit: str, count: int | None) -> Table:
        table = take(table, np.isfinite(cast(Floats, table[name])))
        rows = self._identity(table, (), "request_model", "service_version")
        rows |= self._when(table, cast(Floats, table["t"]), cast(Floats, table["jitter"]))
        rows["signal"] = self._constant(table, "signal", signal)
        rows["unit"] = self._constant(table, "unit", unit)
        rows["value"] = cast(Floats, table[name]).astype(float)
        if count is not None:
            rows["sample_count"] = np.full(length(table), float(count))
        return rows | {"lost": table["lost"]}

    def _identity(self, table: Table, of_row: tuple[str, ...], *of_service: str) -> Table:
        """Identity columns: the service's, the server's where there is one, and the row's own."""
        rows: Table = {}
        if "server" in table:
            fields = [server_fields(service, server) for service, server in SERVERS]
            names = (
                *("environment", "service", "service_version", "region", "cluster", "node", "replica"),
                *("gpu_model", "tp_group", "provider", "request_model"),
            )
            keep = set(names) - ({"request_model", "service_version"} - set(of_service))
            for name in (each for each in names if each in keep):
                codes = self._words.codes(name, (each.get(name) for each in fields))
                rows[name] = codes[cast(Ints, table["server"])]
            producers = self._words.codes("producer", (server.producer for _, server in SERVERS))
            rows["producer"] = producers[cast(Ints, table["server"])]
        else:
            for name in (*_SERVICE_IDENTITY, "provider", *of_service):
                codes = self._words.codes(name, (each.identity.get(name) for each in SERVICES.values()))
                rows[name] = codes[cast(Ints, table["service"])]
            producers = self._words.codes("producer", (f"{name}-controller" for name in SERVICES))
            rows["producer"] = producers[cast(Ints, table["service"])]
        return rows | {name: table[name] for name in of_row}

    def _request(self, table: Table, time_s: Floats, jitter: str) -> Table:
        return {"request": table["request"], "lost": table["lost"]} | self._when(
            table, time_s, cast(Floats, table[jitter])
        )

    def _when(self, table: Table, time_s: Floats, jitter: Floats) -> Table:
        """When it happened by the sender's clock, and when it arrives: 0.1 to 1.6 s later."""
        told = self._start_ms + np.rint((time_s + cast(Floats, table["clock_s"])) * 1000).astype(np.int64)
        held = cast(Floats, table["held_until"]) if "held_until" in table else time_s
        arrival = np.maximum(time_s, held) + 0.1 + 1.5 * jitter**4
        return {"event_time": told, "arrival": arrival, "sent": time_s, "lost": table["lost"]}

    def _constant(self, table: Table, column: str, value: str) -> Column:
        return np.full(length(table), self._words.code(column, value))

    def _sent(self, rows: Table) -> Table:
        """Number each producer's samples as it sends them, drop the lost, order by arrival."""
        order = np.lexsort((cast(Floats, rows["sent"]), rows["producer"]))
        producer = cast(Ints, rows["producer"])[order]
        first = np.flatnonzero(np.diff(producer, prepend=-2))
        place = np.arange(order.size) - np.repeat(first, np.diff(np.append(first, order.size)))
        number = np.empty(order.size)
        number[order] = place + 1
        rows = {name: column for name, column in rows.items() if name != "sent"} | {"producer_seq": number}
        kept = np.flatnonzero(~cast(Bools, rows.pop("lost")))
        by_arrival = kept[np.argsort(cast(Floats, rows["arrival"])[kept], kind="stable")]
        return take(rows, by_arrival)


def _total(table: Table, rate: str, place: int) -> Floats:
    """A cumulative count from a rate a second, for each server on its own."""
    expected = cast(Floats, table[rate]) * machines.SCRAPE_S
    grown = machines.happened(expected, cast(Floats, table["chance"])[:, place])
    return machines.running_total(grown, cast(Ints, table["server"]))
