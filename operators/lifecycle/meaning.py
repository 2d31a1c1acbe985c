"""What each signal means to people: its short name, which way is worse, and which symptom it speaks of.

The one table behind severity, symptom and summary.
"""

from dataclasses import dataclass
from typing import Literal

from operators.series import SeriesKey
from schemas.outputs import Symptom

PERFORMANCE: Symptom = "performance_degradation"
INVALID: Symptom = "invalid_inference"
DEPLOYMENT: Symptom = "deployment_failure"
TELEMETRY: Symptom = "telemetry_fault"
INPUT: Symptom = "input_shift"

#: +1 higher is worse, -1 lower is worse, 0 any change is, None: tells about load, harms nobody by itself.
Worse = Literal[1, -1, 0] | None


@dataclass(frozen=True, slots=True)
class Meaning:
    """One signal's: ``word`` for humans, ``worse`` direction, ``symptom``.

    ``least``: changes smaller than this, in the signal's unit, harm nobody however sure they are. ``unit``:
    that of a statistic that is not in its signal's.
    """

    word: str
    worse: Worse
    symptom: Symptom
    least: float = 0.0
    unit: str | None = None


_SIGNALS: dict[str, Meaning] = {
    "gen_ai.server.time_to_first_token": Meaning("TTFT", 1, PERFORMANCE, 0.15),
    "gen_ai.server.time_per_output_token": Meaning("time per output token", 1, PERFORMANCE, 0.003),
    "gen_ai.server.request.duration": Meaning("request duration", 1, PERFORMANCE, 1.0),
    "gen_ai.server.queue_time": Meaning("queue time", 1, PERFORMANCE, 0.25),
    "gen_ai.server.arrivals": Meaning("arrivals", None, PERFORMANCE),
    "gen_ai.server.completions": Meaning("completions", None, PERFORMANCE),
    "gen_ai.server.errors": Meaning("errors", 1, PERFORMANCE, 0.01),
    "gen_ai.server.timeouts": Meaning("timeouts", 1, PERFORMANCE, 0.01),
    "gen_ai.server.cancellations": Meaning("cancellations", 1, PERFORMANCE, 0.02),
    "gen_ai.server.requests_running": Meaning("running requests", None, PERFORMANCE),
    "gen_ai.server.requests_waiting": Meaning("waiting requests", 1, PERFORMANCE, 0.5),
    "gen_ai.server.kv_cache_usage": Meaning("KV cache usage", 1, PERFORMANCE, 0.05),
    # a cache that suddenly knows far more prompts may know those of other tenants
    "gen_ai.server.prefix_cache_hit_ratio": Meaning("prefix cache hits", 1, INVALID, 0.1),
    "gen_ai.server.preemptions": Meaning("preemptions", 1, PERFORMANCE, 0.03),
    "gen_ai.server.restarts": Meaning("restarts", 1, DEPLOYMENT),
    "gen_ai.server.replicas_ready": Meaning("ready replicas", None, DEPLOYMENT),
    "gen_ai.server.replicas_desired": Meaning("desired replicas", None, DEPLOYMENT),
    "gen_ai.usage.input_tokens": Meaning("input tokens", None, INPUT),
    "gen_ai.usage.output_tokens": Meaning("output tokens", 0, INVALID, 10.0),
    "gen_ai.output.finish_reason_share": Meaning("finish reason", 1, INVALID, 0.02),
    "gen_ai.output.script_share": Meaning("script", 1, INVALID),
    "gen_ai.output.refusal_ratio": Meaning("refusals", 1, INVALID),
    "gen_ai.output.parse_failure_ratio": Meaning("parse failures", 1, INVALID),
    "gen_ai.output.pii_ratio": Meaning("PII flags", 1, INVALID),
    "gen_ai.output.top1_probability": Meaning("top-1 probability", -1, INVALID, 0.02),
    "gen_ai.output.entropy": Meaning("entropy", 0, INVALID, 0.05),
    "gen_ai.output.repetition_ratio": Meaning("repetition", 1, INVALID, 0.02),
    "gen_ai.output.nan_count": Meaning("NaN count", 1, INVALID),
    "gen_ai.prompt.embedding": Meaning("prompt embeddings", None, INPUT),
    "gen_ai.output.embedding": Meaning("output embeddings", 0, INVALID),
    "gen_ai.canary.score": Meaning("canary score", -1, INVALID),
    "gen_ai.canary.match_ratio": Meaning("canary matches", -1, INVALID),
    "gen_ai.feedback.negative_ratio": Meaning("negative feedback", 1, INVALID),
    "producer.heartbeat": Meaning("heartbeats", -1, TELEMETRY),
    "hw.gpu.utilization": Meaning("GPU utilisation", None, PERFORMANCE),
    "hw.gpu.memory.utilization": Meaning("GPU memory utilisation", None, PERFORMANCE),
    "hw.power": Meaning("GPU power", None, PERFORMANCE),
    "hw.temperature": Meaning("temperature", 1, PERFORMANCE, 3.0),
    "hw.gpu.sm_clock": Meaning("SM clock", -1, PERFORMANCE),
    "hw.gpu.memory_clock": Meaning("memory clock", -1, PERFORMANCE),
    "hw.errors": Meaning("hardware errors", 1, PERFORMANCE),
    "hw.gpu.nvlink_errors": Meaning("NVLink errors", 1, PERFORMANCE),
    "hw.gpu.pcie_replays": Meaning("PCIe replays", 1, PERFORMANCE),
    "hw.gpu.throttle_time": Meaning("throttling", 1, PERFORMANCE),
}
_UNKNOWN = Meaning("", 0, PERFORMANCE)

#: Where a statistic says something else than its signal.
_STATISTICS: dict[tuple[str, str], Meaning] = {
    ("gen_ai.server.completions", "completed"): Meaning(
        "completed share of arrivals", -1, PERFORMANCE, 0.1, unit="1"
    ),
    ("producer.heartbeat", "late_ratio"): Meaning("late samples", 1, TELEMETRY),
    ("producer.heartbeat", "ahead_ratio"): Meaning("samples ahead of time", 1, TELEMETRY),
    ("gen_ai.output.finish_reason_share", "share:stop"): Meaning("finish reason stop", -1, INVALID, 0.03),
    ("gen_ai.output.finish_reason_share", "share:tool_calls"): Meaning(
        "finish reason tool_calls", 0, INVALID
    ),
}


def meaning(key: SeriesKey) -> Meaning:
    """What a series means."""
    return _STATISTICS.get((key.signal, key.statistic)) or _SIGNALS.get(key.signal, _UNKNOWN)


def unit(key: SeriesKey) -> str:
    """What the values of a series are in, as events and people are told."""
    return meaning(key).unit or key.unit
