"""OTLP as a collector writes it to Kafka, protobuf or JSON: a sample is one data point or span."""

from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas.chunk import Decoded
from schemas.wire.draft import Draft
from schemas.wire.otlp.json import MetricsRequest, TraceRequest
from schemas.wire.otlp.metrics import read_metrics
from schemas.wire.otlp.samples import Samples
from schemas.wire.otlp.spans import read_spans
from schemas.wire.reasons import Refused

#: Topic → (protobuf message, its JSON twin, the walk through either).
_FORMATS: dict[str, tuple[Any, msgspec.json.Decoder[Any], Callable[[Any, Samples], Draft]]] = {
    "otlp_metrics": (
        ExportMetricsServiceRequest,
        msgspec.json.Decoder(MetricsRequest, strict=False),
        read_metrics,
    ),
    "otlp_spans": (ExportTraceServiceRequest, msgspec.json.Decoder(TraceRequest, strict=False), read_spans),
}

#: Topics an OpenTelemetry collector writes.
OTLP_TOPICS: tuple[str, ...] = tuple(_FORMATS)


def decode_otlp(
    topic: str, body: bytes, is_json: bool, broker_time_ms: int | None, ahead_s: float
) -> Decoded:
    """Decode one record of an OTLP topic.

    Raises:
        Refused: The record as a whole cannot be parsed.
    """
    message, json, walk = _FORMATS[topic]
    try:
        request = json.decode(body) if is_json else message.FromString(body)
    except (DecodeError, ValueError, RecursionError):
        raise Refused("framing", "broken OTLP") from None
    samples = Samples(body, is_json)
    return samples.decoded(walk(request, samples), topic, broker_time_ms, ahead_s)
