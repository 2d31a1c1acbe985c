"""Requests before anything goes wrong: arrivals, sessions, routing, tokens, latencies and output measures.

Latencies are kept as dimensionless factors until `pipelines.simulate.outcome` turns them into seconds, so
that a fault may act on the factor alone and its consequences (a longer duration, a fuller server) follow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from pipelines.simulate.arrays import Floats
from pipelines.simulate.episodes import SERVERS, Episode
from pipelines.simulate.fleet import EMBEDDER, LONG_PROMPT_TOKENS, SERVICES, Service
from pipelines.simulate.streams import stream
from pipelines.simulate.tables import Table, Words
from pipelines.simulate.traces import TRACES, tokens_at

DAY_S = 86_400.0
LANGUAGES = ("en", "de", "ja", "zh")
_LANGUAGE_SHARES = (0.75, 0.08, 0.10, 0.07)
#: Half the day's swing of the load around its mean, and when it peaks.
_DAILY_SWING, _PEAK_S = 0.30, 14 * 3600.0
_WEEKEND = 0.75


@dataclass(frozen=True, slots=True)
class Clock:
    """The simulated span: start in Unix ms and length in seconds."""

    start_ms: int
    seconds: int


def wander(draw: np.random.Generator, steps: int, memory: float, rows: int = 1) -> Floats:
    """Autoregressive noise of unit variance, ``rows`` x ``steps``; ``memory`` in steps."""
    kept = math.exp(-1.0 / memory)
    noise = draw.standard_normal((rows, steps))
    noise[:, 1:] *= math.sqrt(1 - kept**2)
    return np.asarray(lfilter([1.0], [1.0, -kept], noise, axis=1))


def season(clock: Clock, time_s: Floats) -> Floats:
    """The daily and weekly cycle of the load around 1."""
    since_monday = time_s + (clock.start_ms / 1000.0 - 4 * DAY_S)
    of_day, weekday = np.mod(since_monday, DAY_S), np.mod(since_monday // DAY_S, 7)
    daily = 1 + _DAILY_SWING * np.cos(2 * np.pi * (of_day - _PEAK_S) / DAY_S)
    return np.asarray(daily * np.where(weekday >= 5, _WEEKEND, 1.0))


def base_rate(service: Service, clock: Clock, seed: int) -> Floats:
    """Arrivals a second, for each second of the span, without surges."""
    trace, draw = TRACES[service.trace], stream(seed, "rate", service.name)
    seconds = np.arange(clock.seconds, dtype=float)
    slow = wander(draw, clock.seconds // 10 + 1, trace.rate_memory_s / 10)[0]
    level = np.exp(trace.rate_spread * np.repeat(slow, 10)[: clock.seconds] - trace.rate_spread**2 / 2)
    rate = service.rate * season(clock, seconds) * level
    if trace.burst_s:
        cycle = trace.burst_s + trace.silence_s
        count = int(clock.seconds / cycle * 2) + 50
        spans = draw.exponential([trace.burst_s, trace.silence_s], size=(count, 2)).ravel()
        edges = np.searchsorted(np.cumsum(spans), seconds, side="right")
        rate = np.where(edges % 2 == 0, rate * cycle / trace.burst_s, 0.0)
    return rate


def surge_rate(episode: Episode, rate: Floats) -> Floats:
    """Arrivals a second that an episode's surge adds to a service's ``rate``."""
    surge = episode.scenario.surge
    if surge is None:
        return np.zeros_like(rate)
    time_s = np.arange(rate.size, dtype=float)
    strength = episode.intensity(time_s)
    if surge.hump:
        part = (time_s - episode.onset_s) / (episode.end_s - episode.onset_s)
        strength = strength * np.sin(np.pi * np.clip(part, 0, 1)) ** 2
    of_service = 0.12 if episode.scenario.at == "tenant" else 1.0
    return np.asarray(rate * of_service * (episode.value(surge.factor) - 1) * strength)


def requests(
    service: Service, clock: Clock, rate: Floats, seed: int, words: Words, *, name: Sequence[str | int] = ()
) -> Table:
    """A table of requests that arrive at ``rate``, in order of arrival.

    Args:
        service: who is asked.
        clock: the span.
        rate: arrivals a second for each second of the span.
        seed: of the world.
        words: where the coded columns get their codes.
        name: of the streams, beside the service's; an episode's own for the requests that it adds.
    """
    draw = stream(seed, "requests", service.name, *name)
    second = np.repeat(np.arange(clock.seconds), draw.poisson(rate))
    count = second.size
    time_s = np.sort(second + draw.random(count))
    table: Table = {"t": time_s, "service": np.full(count, list(SERVICES).index(service.name))}
    table["number"] = np.arange(count, dtype=np.int64)
    _sessions(service, clock, table, draw, words)
    trace = TRACES[service.trace]
    table["input_tokens"] = tokens_at(trace.input_tokens, draw.random(count))
    table["output_tokens"] = tokens_at(trace.output_tokens, draw.random(count))
    long = (np.asarray(table["input_tokens"], float) > LONG_PROMPT_TOKENS) & any(
        server.long_context for server in service.servers
    )
    eligible = [
        i for i, (owner, s) in enumerate(SERVERS) if owner is service and not (s.spare or s.long_context)
    ]
    special = [i for i, (owner, s) in enumerate(SERVERS) if owner is service and s.long_context] or eligible
    table["server"] = np.where(
        long, special[0], np.asarray(eligible)[draw.integers(len(eligible), size=count)]
    )
    table["route"] = np.where(long, words.code("route", "long"), words.code("route", "default"))
    _latencies(table, draw)
    _outputs(service, table, draw, words)
    for column, value in (
        ("service_version", service.version),
        ("prompt_version", service.prompt_version),
        ("quantization", service.quantization),
        ("decode_params_hash", "d-3f1a"),
        ("response_model", f"{service.request_model}-2025-11" if service.provider else None),
    ):
        table[column] = np.full(count, words.code(column, value))
    return table


def _sessions(service: Service, clock: Clock, table: Table, draw: np.random.Generator, words: Words) -> None:
    """Sessions in slots, each lasting its slot's time; topic, task and language the session's."""
    time_s = np.asarray(table["t"], float)
    slots = max(24, int(service.rate * 45))
    popularity = 1.0 / np.arange(1, service.tenants + 1) ** 0.8
    own = stream(clock.start_ms, "slots", service.name)
    tenant_of = own.choice(service.tenants, size=slots, p=popularity / popularity.sum())
    life, phase = own.uniform(240, 1500, slots), own.uniform(0, 1500, slots)
    slot = draw.integers(slots, size=time_s.size)
    turn = np.floor((time_s + phase[slot]) / life[slot]).astype(np.int64)
    sessions, session = np.unique(slot * 1_000_000 + turn, return_inverse=True)
    start_s = (sessions % 1_000_000) * life[sessions // 1_000_000]
    extra = f"{draw.integers(2**32):08x}"
    names = [f"s-{service.name[:2]}{extra}{key:x}" for key in sessions.tolist()]
    tenants = [f"t-{service.name[:4]}-{number:02d}" for number in range(service.tenants)]
    table["session_hash"] = words.codes("session_hash", names)[session]
    table["tenant_hash"] = words.codes("tenant_hash", tenants)[tenant_of[slot]]
    tasks = words.codes("task", service.tasks)
    table["task"] = tasks[draw.integers(tasks.size, size=sessions.size)][session]
    language = draw.choice(len(LANGUAGES), size=sessions.size, p=_LANGUAGE_SHARES)
    table["language"] = words.codes("language", LANGUAGES)[language][session]
    weights = _topic_weights(service, start_s)
    rank = (np.cumsum(weights, axis=1) < draw.random(sessions.size)[:, None]).sum(axis=1)
    table["topic"] = np.asarray(service.topics)[np.minimum(rank, len(service.topics) - 1)][session]


def _topic_weights(service: Service, time_s: Floats) -> Floats:
    """Topic shares at these times, rows x topics: popular ones first, each with its own hour."""
    topics = np.asarray(service.topics, float)
    popular = 1.0 / (np.arange(topics.size) + 2.0)
    hours = 1 + 0.3 * np.cos(2 * np.pi * (time_s[:, None] / DAY_S - topics / 12.0))
    weights = popular * hours
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _latencies(table: Table, draw: np.random.Generator) -> None:
    count = table["t"].size
    tail = np.where(draw.random(count) < 0.01, 1 + draw.pareto(2.5, count), 1.0)
    table["queue"] = np.exp(0.8 * draw.standard_normal(count)) * tail
    table["prefill"] = np.exp(0.25 * draw.standard_normal(count)) * tail
    table["tpot"] = np.exp(0.10 * draw.standard_normal(count)) * np.minimum(tail, 4.0)
    table["hang"] = np.zeros(count, bool)
    table["lost"] = np.zeros(count, bool)
    table["clock_s"] = np.zeros(count)


def _outputs(service: Service, table: Table, draw: np.random.Generator, words: Words) -> None:
    count = table["t"].size
    measured = np.where(service.provider is None, 1.0, np.nan)
    topic = np.asarray(table["topic"], float)
    certain = 0.86 + 0.01 * np.sin(topic)
    table["top1_probability"] = draw.beta(60 * certain, 60 * (1 - certain)) * measured
    table["entropy"] = draw.gamma(12.0, (0.55 + 0.02 * np.cos(topic)) / 12.0) * measured
    table["repetition_ratio"] = draw.beta(2.0, 48.0, count)
    table["nan_count"] = np.zeros(count) * measured
    statuses = words.codes("status", ("ok", "error", "timeout", "cancelled"))
    table["status"] = statuses[np.searchsorted([0.985, 0.990, 0.993], draw.random(count), side="right")]
    errors = words.codes("error_type", ("internal", "rate_limited"))
    kind = errors[draw.integers(2, size=count)]
    table["error_type"] = np.where(table["status"] == statuses[1], kind, -1)
    reasons = words.codes("finish_reason", ("stop", "length", "tool_calls", "content_filter"))
    table["finish_reason"] = reasons[np.searchsorted([0.93, 0.96, 0.98], draw.random(count), side="right")]
    table["refused"] = (draw.random(count) < 0.012).astype(float)
    structured = np.isin(table["task"], words.codes("task", ("extract", "classify", "complete")))
    table["parse_failed"] = np.where(structured, draw.random(count) < 0.006, np.nan)
    table["pii_flagged"] = (draw.random(count) < 0.001).astype(float)
    table["alien"] = np.zeros(count)
    table["abandoned"] = draw.random(count)
    table["embedded"] = draw.random(count) < service.embedded_share
    table["traced"] = draw.random(count) < 0.1
    table["start_jitter"], table["end_jitter"] = draw.random(count), draw.random(count)
    for column in ("prompt_shift", "output_shift", "output_outlier", "output_collapse", "other_prompt"):
        table[column] = np.zeros(count)
    table["output_spread"] = np.ones(count)
    table["embedder_version"] = np.full(count, words.code("embedder_version", EMBEDDER))
