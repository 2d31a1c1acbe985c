"""The records of every topic as frozen structs: the one place where fields and their limits are declared.

JSON Schema files, Arrow schemas and the vectorised row checks are all derived from these structs.
Times are aware datetimes or integer Unix milliseconds, durations seconds, sizes bytes, ratios 0 to 1.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.plans import prepare

Time = Annotated[datetime, Meta(tz=True)] | int
Text = Annotated[str, Meta(min_length=1, max_length=1024)]
Seconds = Annotated[float, Meta(ge=0)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, lt=2**63 - 256)]
Amount = Annotated[float, Meta(ge=0)]

RequestStatus = Literal["started", "ok", "error", "timeout", "cancelled"]
Side = Literal["prompt", "output"]
Temporality = Literal["gauge", "delta", "cumulative"]
ChangeType = Literal[
    "deployment",
    "config",
    "model_swap",
    "feature_flag",
    "infra",
    "prompt",
    "route",
    "embedder",
    "maintenance",
]
ChangeStatus = Literal["started", "succeeded", "failed", "rolled_back", "cancelled"]


class Identity(Struct, frozen=True, kw_only=True):
    """The identity fields any record may carry; all optional here, required ones by topic."""

    environment: Text | None = None
    service: Text | None = None
    service_version: Text | None = None
    region: Text | None = None
    cluster: Text | None = None
    node: Text | None = None
    replica: Text | None = None
    gpu: Text | None = None
    gpu_model: Text | None = None
    tp_group: Text | None = None
    provider: Text | None = None
    request_model: Text | None = None
    response_model: Text | None = None
    quantization: Text | None = None
    prompt_version: Text | None = None
    decode_params_hash: Text | None = None
    route: Text | None = None
    task: Text | None = None
    tenant_hash: Text | None = None
    session_hash: Text | None = None
    producer: Text | None = None
    producer_seq: int | None = None


class RequestSample(Identity, frozen=True, kw_only=True):
    """``telemetry.requests.v1``: one start or one completion of a request."""

    event_time: Time
    service: Text
    request_id: Text
    status: RequestStatus
    error_type: Text | None = None
    finish_reason: Text | None = None
    ttft_s: Seconds | None = None
    tpot_s: Seconds | None = None
    duration_s: Seconds | None = None
    queue_s: Seconds | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    max_context_tokens: Count | None = None
    gpus: list[Text] | None = None
    top1_probability: Ratio | None = None
    entropy: Amount | None = None
    repetition_ratio: Ratio | None = None
    script_shares: dict[Text, Ratio] | None = None
    nan_count: Count | None = None
    refused: bool | None = None
    parse_failed: bool | None = None
    pii_flagged: bool | None = None
    trace_id: Text | None = None


class EmbeddingSample(Identity, frozen=True, kw_only=True):
    """``telemetry.embeddings.v1``: one vector, base64 of little-endian ``dtype`` in JSON."""

    event_time: Time
    service: Text
    request_id: Text
    side: Side
    embedder_version: Text
    dim: Annotated[int, Meta(ge=1, le=65536)]
    vector: str
    dtype: Literal["f16", "f32"] = "f32"


class GpuSample(Identity, frozen=True, kw_only=True):
    """``telemetry.gpu.v1``: one scrape of one GPU; ``*_total`` fields are cumulative."""

    event_time: Time
    gpu: Text
    utilization: Ratio | None = None
    memory_used_bytes: Amount | None = None
    memory_total_bytes: Amount | None = None
    power_w: Amount | None = None
    temperature_c: Annotated[float, Meta(ge=-100, le=1000)] | None = None
    memory_temperature_c: Annotated[float, Meta(ge=-100, le=1000)] | None = None
    sm_clock_hz: Amount | None = None
    memory_clock_hz: Amount | None = None
    throttle_reasons: list[Text] | None = None
    thermal_violation_s_total: Amount | None = None
    power_violation_s_total: Amount | None = None
    ecc_corrected_total: Amount | None = None
    ecc_uncorrected_total: Amount | None = None
    xid: Count | None = None
    nvlink_errors_total: Amount | None = None
    pcie_replay_total: Amount | None = None
    remapped_rows_total: Amount | None = None


class MetricSample(Identity, frozen=True, kw_only=True):
    """``telemetry.metrics.v1``: one value of one canonical signal."""

    event_time: Time
    service: Text
    signal: Text
    value: float
    unit: Text | None = None
    temporality: Temporality | None = None
    attribute: Text | None = None
    sample_count: Count | None = None


class ChangeRecord(Identity, frozen=True, kw_only=True, rename={"from_": "from"}):
    """``changes.v1``: one revision of one change; the identity fields are its target."""

    event_time: Time
    change_id: Text
    change_type: ChangeType
    status: ChangeStatus | None = None
    summary: Annotated[str, Meta(max_length=4096)] | None = None
    from_: Text | None = None
    to: Text | None = None
    rollback_ref: Text | None = None
    expected: bool | None = None
    ends_at: Time | None = None
    author: Text | None = None
    url: Text | None = None


prepare(RequestSample, EmbeddingSample, GpuSample, MetricSample, ChangeRecord)

Record = RequestSample | EmbeddingSample | GpuSample | MetricSample | ChangeRecord
