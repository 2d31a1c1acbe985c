"""Attributes of GenAI spans, three generations and vLLM's, by the field of a request they give."""

from collections.abc import Mapping

#: Field of ``telemetry.requests.v1`` → attributes, preferred first; ``driftline.<field>`` comes before all.
SPAN_FIELDS: dict[str, tuple[str, ...]] = {
    "request_id": ("gen_ai.response.id", "gen_ai.request.id"),
    "ttft_s": (
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.server.time_to_first_token",
        "gen_ai.latency.time_to_first_token",
    ),
    "tpot_s": ("gen_ai.server.time_per_output_token",),
    "duration_s": ("gen_ai.latency.e2e",),
    "queue_s": ("gen_ai.server.queue_time", "gen_ai.latency.time_in_queue"),
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "finish_reason": ("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason"),
    "error_type": ("error.type",),
    "max_context_tokens": (),
    "top1_probability": (),
    "entropy": (),
    "repetition_ratio": (),
    "nan_count": (),
    "refused": (),
    "parse_failed": (),
    "pii_flagged": (),
}

#: Operations that are one inference; other GenAI spans (tools, agents) are not requests.
INFERENCE: frozenset[str] = frozenset(
    {"chat", "text_completion", "generate_content", "embeddings", "completion"}
)

#: What makes a span without an operation one of GenAI's (vLLM's ``llm_request``).
_MARKS = ("gen_ai.request.model", "gen_ai.response.model", "gen_ai.request.id", "gen_ai.response.id")


def is_request(attributes: Mapping[str, object]) -> bool:
    """Whether a span with these attributes is one inference request."""
    operation = attributes.get("gen_ai.operation.name")
    if operation is not None:
        return operation in INFERENCE
    return any(mark in attributes for mark in _MARKS)


def status_of(error: bool, error_type: str | None) -> str:
    """A request's status from a span's: an error whose type names it is a timeout or a cancellation."""
    kind = (error_type or "").lower()
    if not error and not kind:
        return "ok"
    if "timeout" in kind or "timed_out" in kind or "deadline" in kind or kind in ("408", "504"):
        return "timeout"
    return "cancelled" if "cancel" in kind or "abort" in kind or kind == "499" else "error"
