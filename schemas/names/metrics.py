"""Every name a metric is known by, its canonical signal, and the factor that brings it to the signal's unit.

Sources: OpenTelemetry GenAI (three generations), ``hw.*``, dcgm-exporter, vLLM, SGLang, TGI, Triton. Known
names that cannot be read as one signal are in `UNREAD` with the reason; they are ignored like unknown ones.
"""

import math
from dataclasses import dataclass

from schemas.signals import SIGNALS, Signal


@dataclass(frozen=True, slots=True)
class Alias:
    """What one foreign name means.

    Attributes:
        signal: The canonical signal.
        factor: Multiplies the value into the signal's unit.
        attribute: The attribute value, for signals split by one.
        temporality: How the value is to be read where the signal's own default would be wrong.
    """

    signal: str
    factor: float = 1.0
    attribute: str | None = None
    temporality: str | None = None


_TTFT = "gen_ai.server.time_to_first_token"
_TPOT = "gen_ai.server.time_per_output_token"
_DURATION = "gen_ai.server.request.duration"
_QUEUE = "gen_ai.server.queue_time"
_RUNNING = "gen_ai.server.requests_running"
_WAITING = "gen_ai.server.requests_waiting"
_KV = "gen_ai.server.kv_cache_usage"
_IN = "gen_ai.usage.input_tokens"
_OUT = "gen_ai.usage.output_tokens"
_COMPLETIONS = "gen_ai.server.completions"


def _counter(signal: str) -> Alias:
    """A count that the server sends as a running total."""
    return Alias(signal, temporality="cumulative")


#: Foreign name → meaning. ``name{value}`` is the metric split by the attribute in `SPLIT_BY`.
ALIASES: dict[str, Alias] = {
    # OpenTelemetry GenAI, generations A to C: the client's view; its service tells it from the server's.
    "gen_ai.client.operation.duration": Alias(_DURATION),
    "gen_ai.client.inference.duration": Alias(_DURATION),
    "gen_ai.client.operation.time_to_first_chunk": Alias(_TTFT),
    "gen_ai.client.inference.time_to_first_chunk": Alias(_TTFT),
    "gen_ai.client.time_to_first_chunk": Alias(_TTFT),
    "gen_ai.client.operation.time_per_output_chunk": Alias(_TPOT),
    "gen_ai.client.inference.time_per_output_chunk": Alias(_TPOT),
    "gen_ai.client.time_per_output_chunk": Alias(_TPOT),
    "gen_ai.client.token.usage{input}": Alias(_IN),
    "gen_ai.client.token.usage{output}": Alias(_OUT),
    "gen_ai.client.token.usage{completion}": Alias(_OUT),
    "gen_ai.client.inference.operation.input_tokens": Alias(_IN),
    "gen_ai.client.inference.operation.output_tokens": Alias(_OUT),
    # vLLM v1 and older
    "vllm:time_to_first_token_seconds": Alias(_TTFT),
    "vllm:inter_token_latency_seconds": Alias(_TPOT),
    "vllm:time_per_output_token_seconds": Alias(_TPOT),
    "vllm:request_time_per_output_token_seconds": Alias(_TPOT),
    "vllm:e2e_request_latency_seconds": Alias(_DURATION),
    "vllm:request_queue_time_seconds": Alias(_QUEUE),
    "vllm:num_requests_running": Alias(_RUNNING),
    "vllm:num_requests_waiting": Alias(_WAITING),
    "vllm:kv_cache_usage_perc": Alias(_KV),
    "vllm:gpu_cache_usage_perc": Alias(_KV),
    "vllm:num_preemptions": Alias("gen_ai.server.preemptions"),
    "vllm:num_preemptions_total": Alias("gen_ai.server.preemptions"),
    "vllm:request_success": _counter(_COMPLETIONS),
    "vllm:request_success_total": _counter(_COMPLETIONS),
    "vllm:request_prompt_tokens": Alias(_IN),
    "vllm:request_generation_tokens": Alias(_OUT),
    "vllm:corrupted_requests": _counter("gen_ai.server.errors"),
    "vllm:corrupted_requests_total": _counter("gen_ai.server.errors"),
    # SGLang
    "sglang:time_to_first_token_seconds": Alias(_TTFT),
    "sglang:time_per_output_token_seconds": Alias(_TPOT),
    "sglang:inter_token_latency_seconds": Alias(_TPOT),
    "sglang:e2e_request_latency_seconds": Alias(_DURATION),
    "sglang:num_running_reqs": Alias(_RUNNING),
    "sglang:num_queue_reqs": Alias(_WAITING),
    "sglang:token_usage": Alias(_KV),
    "sglang:cache_hit_rate": Alias("gen_ai.server.prefix_cache_hit_ratio"),
    # TGI
    "tgi_request_mean_time_per_token_duration": Alias(_TPOT),
    "tgi_request_duration": Alias(_DURATION),
    "tgi_request_queue_duration": Alias(_QUEUE),
    "tgi_batch_current_size": Alias(_RUNNING),
    "tgi_queue_size": Alias(_WAITING),
    "tgi_request_input_length": Alias(_IN),
    "tgi_request_generated_tokens": Alias(_OUT),
    "tgi_request_count": _counter("gen_ai.server.arrivals"),
    "tgi_request_count_total": _counter("gen_ai.server.arrivals"),
    "tgi_request_success": _counter(_COMPLETIONS),
    "tgi_request_success_total": _counter(_COMPLETIONS),
    # Triton
    "nv_inference_first_response_histogram_ms": Alias(_TTFT, 1e-3),
    "nv_inference_request_success": _counter(_COMPLETIONS),
    "nv_inference_request_failure": _counter("gen_ai.server.errors"),
    # DCGM
    "DCGM_FI_DEV_GPU_UTIL": Alias("hw.gpu.utilization", 0.01),
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": Alias("hw.gpu.utilization"),
    "DCGM_FI_DEV_POWER_USAGE": Alias("hw.power"),
    "DCGM_FI_DEV_GPU_TEMP": Alias("hw.temperature", 1.0, "gpu"),
    "DCGM_FI_DEV_MEMORY_TEMP": Alias("hw.temperature", 1.0, "memory"),
    "DCGM_FI_DEV_SM_CLOCK": Alias("hw.gpu.sm_clock", 1e6),
    "DCGM_FI_DEV_MEM_CLOCK": Alias("hw.gpu.memory_clock", 1e6),
    # A gauge of the last code, not a counter: read as an occurrence when it changes.
    "DCGM_FI_DEV_XID_ERRORS": Alias("hw.errors", 1.0, "xid", "gauge"),
    "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": Alias("hw.errors", 1.0, "corrected"),
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": Alias("hw.errors", 1.0, "uncorrected"),
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": Alias("hw.errors", 1.0, "row_remap"),
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": Alias("hw.gpu.pcie_replays"),
    "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL": Alias("hw.gpu.nvlink_errors"),
    "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL": Alias("hw.gpu.nvlink_errors"),
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": Alias("hw.gpu.nvlink_errors"),
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL": Alias("hw.gpu.nvlink_errors"),
    "DCGM_FI_DEV_THERMAL_VIOLATION": Alias("hw.gpu.throttle_time", 1e-9, "thermal"),
    "DCGM_FI_DEV_POWER_VIOLATION": Alias("hw.gpu.throttle_time", 1e-9, "power"),
}

#: Metrics that are several signals, told apart by the value of one attribute.
SPLIT_BY: dict[str, str] = {"gen_ai.client.token.usage": "gen_ai.token.type"}

#: Known names that are not one signal by themselves, and why.
UNREAD: dict[str, str] = {
    "vllm:request_prefill_time_seconds": "no canonical signal",
    "vllm:request_decode_time_seconds": "no canonical signal",
    "vllm:prefix_cache_hits_total": "half of a ratio",
    "vllm:prefix_cache_queries_total": "half of a ratio",
    "vllm:prompt_tokens_total": "a total has no distribution",
    "vllm:generation_tokens_total": "a total has no distribution",
    "sglang:prompt_tokens_total": "a total has no distribution",
    "sglang:generation_tokens_total": "a total has no distribution",
    "gen_ai.client.inference.usage.input_tokens": "a total has no distribution",
    "gen_ai.client.inference.usage.output_tokens": "a total has no distribution",
    "gen_ai.client.inference.usage.cache_read.input_tokens": "a total has no distribution",
    "gen_ai.client.inference.usage.cache_write.input_tokens": "a total has no distribution",
    "gen_ai.client.inference.usage.reasoning.output_tokens": "a total has no distribution",
    "tgi_batch_inference_duration": "of a batch, not a request",
    "nv_inference_request_duration_us": "a running total of times",
    "nv_inference_queue_duration_us": "a running total of times",
    "nv_inference_compute_infer_duration_us": "a running total of times",
    "nv_inference_request_summary_us": "quantiles cannot be merged",
    "nv_cache_num_hits_per_model": "half of a ratio",
    "hw.gpu.memory.usage": "half of a ratio",
    "hw.gpu.memory.limit": "half of a ratio",
    "hw.gpu.io": "no canonical signal",
    "hw.energy": "no canonical signal",
    "hw.status": "no canonical signal",
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": "no canonical signal",
    "DCGM_FI_PROF_DRAM_ACTIVE": "no canonical signal",
    "DCGM_FI_DEV_FB_USED": "half of a ratio",
    "DCGM_FI_DEV_FB_FREE": "half of a ratio",
    "DCGM_FI_DEV_FB_RESERVED": "half of a ratio",
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "no canonical signal",
    "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": "no canonical signal",
    "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL": "the volatile count is read",
    "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL": "the volatile count is read",
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": "the uncorrectable count is read",
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": "no canonical signal",
    "DCGM_FI_DEV_SYNC_BOOST_VIOLATION": "no canonical signal",
    "DCGM_FI_DEV_BOARD_LIMIT_VIOLATION": "no canonical signal",
    "DCGM_FI_DEV_LOW_UTIL_VIOLATION": "no canonical signal",
    "DCGM_FI_DEV_RELIABILITY_VIOLATION": "no canonical signal",
    "DCGM_EXP_XID_ERRORS_COUNT": "no canonical signal",
    "DCGM_EXP_CLOCK_EVENTS_COUNT": "no canonical signal",
    "DCGM_EXP_GPU_HEALTH_STATUS": "no canonical signal",
    "DCGM_EXP_P2P_STATUS": "no canonical signal",
}

#: Attributes that carry the value of a by-attribute signal, on OpenTelemetry points.
ATTRIBUTE_OF: dict[str, tuple[str, ...]] = {
    "hw.errors": ("error.type",),
    "hw.temperature": ("hw.sensor_location",),
    "gen_ai.output.finish_reason_share": ("gen_ai.response.finish_reason", "gen_ai.response.finish_reasons"),
}

_UNBOUNDED = (-math.inf, math.inf)

#: What a value of the signal may be, inclusive.
BOUNDS: dict[str, tuple[float, float]] = {
    name: (0.0, 1.0) if signal.kind == "ratio" else (0.0, math.inf) for name, signal in SIGNALS.items()
} | {
    "gen_ai.output.top1_probability": (0.0, 1.0),
    "gen_ai.output.repetition_ratio": (0.0, 1.0),
    "hw.temperature": (-100.0, 1000.0),
    "gen_ai.prompt.embedding": _UNBOUNDED,
    "gen_ai.output.embedding": _UNBOUNDED,
}

#: Units that are multiples of a canonical one: unit → (canonical unit, factor).
_UNITS: dict[str, tuple[str, float]] = {
    "ms": ("s", 1e-3),
    "us": ("s", 1e-6),
    "ns": ("s", 1e-9),
    "%": ("1", 0.01),
    "kHz": ("Hz", 1e3),
    "MHz": ("Hz", 1e6),
    "GHz": ("Hz", 1e9),
    "mW": ("W", 1e-3),
    "kW": ("W", 1e3),
}

_DEFAULT_TEMPORALITY = {"count": "delta", "counter": "cumulative"}


def resolve(name: str, split: str | None = None) -> Alias | None:
    """What a metric name means, canonical or foreign; ``None`` where it is no signal that is read.

    Args:
        name: The metric's name as sent.
        split: The value of the attribute that tells the signals of one name apart (`SPLIT_BY`).
    """
    signal = SIGNALS.get(name)
    if signal is not None:
        return None if signal.kind == "embedding" else Alias(name)
    return ALIASES.get(f"{name}{{{split}}}" if split is not None and name in SPLIT_BY else name)


def unit_factor(alias: Alias, unit: str | None) -> float:
    """The factor for values in ``unit``: the alias's own, or the unit's where the alias converts nothing."""
    if unit is None or alias.factor != 1.0:
        return alias.factor
    base, factor = _UNITS.get(unit, ("", 1.0))
    return factor if base == SIGNALS[alias.signal].unit else 1.0


def default_temporality(signal: Signal) -> str:
    """``delta`` for counts, ``cumulative`` for counters, ``gauge`` for the rest."""
    return _DEFAULT_TEMPORALITY.get(signal.kind, "gauge")
