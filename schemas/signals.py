"""The canonical signals: name, unit, kind, and the fixed-point step their sums are kept in.

Sums are integers in multiples of ``step``, so that merging partial sketches is exact in any order.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["duration", "count", "gauge", "ratio", "counter", "distribution", "embedding"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One canonical signal. ``by_attribute``: its series are split by an open attribute value."""

    name: str
    unit: str
    kind: Kind
    step: float = 1e-6
    by_attribute: bool = False


def _signals(unit: str, kind: Kind, *names: str, step: float = 1e-6, by: bool = False) -> list[Signal]:
    return [Signal(name, unit, kind, step, by) for name in names]


_ALL: list[Signal] = [
    *_signals(
        "s",
        "duration",
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
        "gen_ai.server.request.duration",
        "gen_ai.server.queue_time",
    ),
    *_signals(
        "1/s",
        "count",
        "gen_ai.server.arrivals",
        "gen_ai.server.completions",
        "gen_ai.server.errors",
        "gen_ai.server.timeouts",
        "gen_ai.server.cancellations",
        step=1.0,
    ),
    *_signals(
        "1",
        "gauge",
        "gen_ai.server.requests_running",
        "gen_ai.server.requests_waiting",
        "gen_ai.server.replicas_ready",
        "gen_ai.server.replicas_desired",
    ),
    *_signals("1", "ratio", "gen_ai.server.kv_cache_usage", "gen_ai.server.prefix_cache_hit_ratio"),
    *_signals("1", "counter", "gen_ai.server.preemptions", "gen_ai.server.restarts"),
    *_signals("1", "distribution", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", step=1.0),
    *_signals(
        "1",
        "ratio",
        "gen_ai.output.finish_reason_share",
        "gen_ai.output.script_share",
        by=True,
    ),
    *_signals(
        "1",
        "ratio",
        "gen_ai.output.refusal_ratio",
        "gen_ai.output.parse_failure_ratio",
        "gen_ai.output.pii_ratio",
        "gen_ai.canary.score",
        "gen_ai.canary.match_ratio",
        "gen_ai.feedback.negative_ratio",
    ),
    *_signals(
        "1",
        "distribution",
        "gen_ai.output.top1_probability",
        "gen_ai.output.entropy",
        "gen_ai.output.repetition_ratio",
        "gen_ai.output.nan_count",
    ),
    *_signals("1", "embedding", "gen_ai.prompt.embedding", "gen_ai.output.embedding"),
    *_signals("1", "counter", "producer.heartbeat", step=1.0),
    *_signals("1", "ratio", "hw.gpu.utilization", "hw.gpu.memory.utilization"),
    *_signals("W", "gauge", "hw.power", step=1e-3),
    *_signals("Cel", "gauge", "hw.temperature", step=1e-3, by=True),
    *_signals("Hz", "gauge", "hw.gpu.sm_clock", "hw.gpu.memory_clock", step=1.0),
    *_signals("1", "counter", "hw.errors", step=1.0, by=True),
    *_signals("1", "counter", "hw.gpu.nvlink_errors", "hw.gpu.pcie_replays", step=1.0),
    *_signals("s", "counter", "hw.gpu.throttle_time", by=True),
]

#: Every canonical signal by name.
SIGNALS: dict[str, Signal] = {signal.name: signal for signal in _ALL}
