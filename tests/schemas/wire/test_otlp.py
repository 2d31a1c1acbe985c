"""OTLP, protobuf and JSON: known signals become rows, unknown ones are counted by name, text is refused."""

import base64
import json
import pickle
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas.chunk import Decoded
from schemas.wire import decode
from tests.schemas.wire.samples import NOW_MS, rows

SECRET = "zq-the-secret-text-qz"
NOW = NOW_MS * 1_000_000


def put(attributes: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        pair = attributes.add()
        pair.key = key
        fill(pair.value, value)


def fill(message: Any, value: Any) -> None:
    if isinstance(value, dict):
        put(message.kvlist_value.values, value)
    elif isinstance(value, list):
        for item in value:
            fill(message.array_value.values.add(), item)
    else:
        kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}[type(value)]
        setattr(message, kind, value)


class Metrics:
    """One resource's metrics."""

    def __init__(self, **resource: Any) -> None:
        self.request = ExportMetricsServiceRequest()
        self.resource = self.request.resource_metrics.add()
        put(self.resource.resource.attributes, {"service.name": "s"} | resource)
        self.scope = self.resource.scope_metrics.add()

    def add(
        self,
        name: str,
        kind: str,
        *,
        temporality: int = 0,
        unit: str = "",
        attributes: Any = None,
        **point: Any,
    ) -> Any:
        data = getattr(self.scope.metrics.add(name=name, unit=unit), kind)
        if temporality:
            data.aggregation_temporality = temporality
        made = data.data_points.add(**{"time_unix_nano": NOW} | point)
        put(made.attributes, attributes or {})
        return made

    def decode(self) -> Decoded:
        return both("otlp_metrics", self.request)


class Spans:
    """One resource's spans."""

    def __init__(self) -> None:
        self.request = ExportTraceServiceRequest()
        resource = self.request.resource_spans.add()
        put(resource.resource.attributes, {"service.name": "s"})
        self.scope = resource.scope_spans.add()

    def add(self, name: str = "chat", error: bool = False, **attributes: Any) -> Any:
        span = self.scope.spans.add(
            name=name,
            trace_id=bytes(range(16)),
            span_id=bytes(range(8)),
            start_time_unix_nano=NOW - 2_000_000_000,
            end_time_unix_nano=NOW,
        )
        span.status.code = 2 if error else 0
        put(span.attributes, attributes)
        return span

    def decode(self) -> Decoded:
        return both("otlp_spans", self.request)


def as_json(request: Message) -> bytes:
    """OTLP/JSON: protobuf's mapping, but ids in hex."""

    def ids(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: base64.b64decode(item).hex() if key in ("traceId", "spanId") else ids(item)
                for key, item in value.items()
            }
        return [ids(item) for item in value] if isinstance(value, list) else value

    return json.dumps(ids(json_format.MessageToDict(request))).encode()


def both(topic: str, request: Message) -> Decoded:
    """Decode as protobuf and as JSON; they must agree."""
    decoded = decode(topic, request.SerializeToString())
    twin = decode(topic, as_json(request))
    assert [chunk.batch for chunk in twin.chunks] == [chunk.batch for chunk in decoded.chunks]
    assert [refusal.reason for refusal in twin.refused] == [refusal.reason for refusal in decoded.refused]
    assert twin.ignored == decoded.ignored
    framed = decode(topic, b"\0\0\0\0\1\0" + request.SerializeToString())
    assert framed.samples == decoded.samples
    return decoded


def test_a_gauge_has_its_signal_unit_and_identity() -> None:
    metrics = Metrics(**{"k8s.node.name": "n", "gen_ai.system": "old", "driftline.tenant_hash": "t"})
    metrics.add(
        "vllm:num_requests_running", "gauge", as_int=7, attributes={"model_name": "llama", "engine": "0"}
    )
    row = rows(metrics.decode().chunks)[0]
    assert row.pop("stream")
    assert row == {
        "service": "s",
        "node": "n",
        "provider": "old",
        "tenant_hash": "t",
        "request_model": "llama",
        "event_time": NOW_MS,
        "signal": "gen_ai.server.requests_running",
        "value": 7.0,
        "unit": "1",
        "temporality": "gauge",
    }


@pytest.mark.parametrize(
    ("name", "kind", "temporality", "expected"),
    [
        ("gen_ai.server.preemptions", "sum", 1, "delta"),
        ("gen_ai.server.preemptions", "sum", 2, "cumulative"),
        ("gen_ai.server.preemptions", "gauge", 0, "cumulative"),
        ("gen_ai.server.arrivals", "sum", 1, "delta"),
        ("gen_ai.server.arrivals", "gauge", 0, "gauge"),
        ("vllm:request_success_total", "sum", 2, "cumulative"),
        ("vllm:num_requests_waiting", "sum", 2, "gauge"),
        ("DCGM_FI_DEV_XID_ERRORS", "gauge", 0, "gauge"),
        ("gen_ai.server.requests_running", "sum", 1, None),
        ("gen_ai.server.request.duration", "sum", 2, None),
        ("gen_ai.server.preemptions", "sum", 0, None),
    ],
)
def test_temporality(name: str, kind: str, temporality: int, expected: str | None) -> None:
    metrics = Metrics()
    metrics.add(name, kind, temporality=temporality, as_double=1.0)
    decoded = metrics.decode()
    if expected is None:
        assert decoded.ignored == {name: 1}
    else:
        assert rows(decoded.chunks)[0]["temporality"] == expected


def test_attributes_and_factors_of_dcgm() -> None:
    metrics = Metrics()
    labels = {"UUID": "GPU-1", "gpu": "0", "Hostname": "node-1", "modelName": "H100"}
    metrics.add("DCGM_FI_DEV_GPU_UTIL", "gauge", as_double=50.0, attributes=labels)
    metrics.add("DCGM_FI_DEV_MEMORY_TEMP", "gauge", as_double=60.0, attributes=labels)
    metrics.add("DCGM_FI_DEV_POWER_USAGE", "gauge", as_double=float(2**63), attributes=labels)
    metrics.add(
        "hw.errors", "sum", temporality=2, as_int=3, attributes={"error.type": "corrected", "hw.id": "GPU-1"}
    )
    decoded = metrics.decode()
    assert decoded.ignored == {"sentinel": 1}
    found = rows(decoded.chunks)
    assert (found[0]["value"], found[0]["signal"]) == (0.5, "hw.gpu.utilization")
    assert [found[0][field] for field in ("gpu", "node", "gpu_model")] == ["GPU-1", "node-1", "H100"]
    assert found[1]["attribute"] == "memory"
    assert (found[3]["attribute"], found[3]["gpu"], found[3]["temporality"]) == (
        "corrected",
        "GPU-1",
        "cumulative",
    )


def test_the_token_metric_is_two_signals() -> None:
    metrics = Metrics()
    for kind in ("input", "output", "reasoning"):
        metrics.add(
            "gen_ai.client.token.usage",
            "histogram",
            temporality=1,
            attributes={"gen_ai.token.type": kind},
            count=1,
            sum=5.0,
            bucket_counts=[0, 1],
            explicit_bounds=[4.0],
        )
    decoded = metrics.decode()
    assert [row["signal"] for row in rows(decoded.chunks).values()] == [
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
    ]
    assert decoded.ignored == {"gen_ai.client.token.usage": 1}


def test_histograms_keep_bounds_in_the_signal_s_unit() -> None:
    metrics = Metrics()
    metrics.add(
        "gen_ai.server.time_to_first_token",
        "histogram",
        temporality=2,
        unit="ms",
        start_time_unix_nano=NOW - 10**9,
        count=6,
        sum=900.0,
        bucket_counts=[1, 2, 3],
        explicit_bounds=[100.0, 200.0],
    )
    point = metrics.add(
        "gen_ai.server.request.duration", "exponential_histogram", temporality=1, count=7, zero_count=1
    )
    point.positive.offset = -1
    point.positive.bucket_counts.extend([2, 4])
    metrics.add("gen_ai.server.queue_time", "histogram", temporality=1, count=3, sum=1.5)
    found = rows(metrics.decode().chunks)
    assert found[0]["hist_bounds"] == pytest.approx([0.1, 0.2])
    assert found[0]["hist_sum"] == pytest.approx(0.9)
    assert (found[0]["hist_counts"], found[0]["sample_count"]) == ([1, 2, 3], 6)
    assert (found[0]["temporality"], found[0]["start_time"]) == ("cumulative", NOW_MS - 1000)
    assert found[1]["hist_bounds"] == [0.5, 1.0, 2.0]
    assert found[1]["hist_counts"] == [1, 2, 4, 0]
    assert (found[2]["hist_bounds"], found[2]["hist_counts"]) == ([], [3])
    assert all("value" not in row for row in found.values())


@pytest.mark.parametrize(
    "point",
    [
        {"count": 3, "bucket_counts": [1, 2, 3], "explicit_bounds": [1.0]},
        {"count": 3, "bucket_counts": [1, 2], "explicit_bounds": [float("nan")]},
        {"count": 3, "bucket_counts": [1, 1, 1], "explicit_bounds": [2.0, 1.0]},
        {"count": 4, "bucket_counts": [1, 2], "explicit_bounds": [1.0]},
    ],
)
def test_broken_histograms_are_refused(point: dict[str, Any]) -> None:
    metrics = Metrics()
    metrics.add("gen_ai.server.queue_time", "histogram", temporality=1, **point)
    assert [refusal.reason for refusal in metrics.decode().refused] == ["bad_histogram"]


def test_what_cannot_be_a_sample_is_refused_alone() -> None:
    metrics = Metrics()
    metrics.add("hw.power", "gauge", as_double=float("nan"))
    metrics.add("hw.power", "gauge", as_double=1.0, time_unix_nano=0)
    metrics.add("gen_ai.server.kv_cache_usage", "gauge", as_double=1.5)
    metrics.add("hw.power", "gauge", as_double=1.0, flags=1)
    metrics.add("hw.power", "gauge", as_double=1.0)
    decoded = metrics.decode()
    assert [refusal.reason for refusal in decoded.refused] == ["not_finite", "bad_time", "out_of_range"]
    assert decoded.ignored == {"no_recorded_value": 1}
    assert list(rows(decoded.chunks)) == [4]
    nameless = ExportMetricsServiceRequest()
    point = nameless.resource_metrics.add().scope_metrics.add().metrics.add(name="vllm:num_requests_running")
    point.gauge.data_points.add(time_unix_nano=NOW, as_double=1)
    assert [refusal.reason for refusal in both("otlp_metrics", nameless).refused] == ["missing_field"]


def test_one_stream_is_one_set_of_attributes() -> None:
    metrics = Metrics()
    for engine in ("0", "1", "0"):
        metrics.add(
            "vllm:num_preemptions_total", "sum", temporality=2, as_int=1, attributes={"engine": engine}
        )
    streams = [row["stream"] for row in rows(metrics.decode().chunks).values()]
    assert streams[0] == streams[2] != streams[1]


def test_spans_of_each_generation_are_requests() -> None:
    spans = Spans()
    spans.add(
        **{
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "llama",
            "gen_ai.response.id": "r1",
            "gen_ai.response.finish_reasons": ["length", "stop"],
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.prompt.version": "v3",
        }
    )
    spans.add(
        "llm_request",
        **{
            "gen_ai.request.id": "r2",
            "gen_ai.response.model": "llama",
            "gen_ai.latency.time_to_first_token": 0.5,
            "gen_ai.latency.time_in_queue": 0.125,
            "gen_ai.latency.e2e": 3.0,
            "gen_ai.usage.prompt_tokens": 7,
            "gen_ai.usage.completion_tokens": 3,
        },
    )
    found = rows(spans.decode().chunks)
    assert found[0] == {
        "service": "s",
        "provider": "openai",
        "request_model": "llama",
        "prompt_version": "v3",
        "event_time": NOW_MS,
        "request_id": "r1",
        "status": "ok",
        "finish_reason": "length",
        "ttft_s": 0.25,
        "duration_s": 2.0,
        "input_tokens": 10,
        "output_tokens": 5,
        "trace_id": bytes(range(16)).hex(),
    }
    second = [found[1][name] for name in ("request_id", "response_model", "ttft_s", "queue_s", "duration_s")]
    assert second == ["r2", "llama", 0.5, 0.125, 3.0]
    assert (found[1]["input_tokens"], found[1]["output_tokens"]) == (7, 3)


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (False, None, "ok"),
        (True, None, "error"),
        (True, "RateLimitError", "error"),
        (True, "TimeoutError", "timeout"),
        (True, "DEADLINE_EXCEEDED", "timeout"),
        (False, "asyncio.CancelledError", "cancelled"),
    ],
)
def test_status_of_spans(error: bool, kind: str | None, status: str) -> None:
    spans = Spans()
    spans.add(error=error, **{"gen_ai.operation.name": "chat"} | ({"error.type": kind} if kind else {}))
    row = rows(spans.decode().chunks)[0]
    assert (row["status"], row.get("error_type")) == (status, kind)
    assert row["request_id"] == bytes(range(8)).hex()


def test_other_spans_are_ignored_by_name() -> None:
    spans = Spans()
    spans.add("GET /health", **{"http.route": "/health"})
    spans.add("execute_tool search", **{"gen_ai.operation.name": "execute_tool"})
    backwards = spans.add(**{"gen_ai.operation.name": "chat"})
    backwards.start_time_unix_nano = NOW + 10**9
    decoded = spans.decode()
    assert decoded.ignored == {"GET /health": 1, "execute_tool search": 1}
    assert [refusal.reason for refusal in decoded.refused] == ["out_of_range"]


TEXTS: list[dict[str, Any]] = [
    {"gen_ai.input.messages": SECRET},
    {"gen_ai.prompt.0.content": SECRET},
    {"deep": {"er": {"completion": SECRET}}},
    {"list": [{"gen_ai.system_instructions": SECRET}]},
]


@pytest.mark.parametrize("attributes", TEXTS)
def test_text_is_refused_wherever_it_hides(attributes: dict[str, Any]) -> None:
    spans = Spans()
    spans.add(**{"gen_ai.operation.name": "chat"} | attributes)
    put(spans.add(**{"gen_ai.operation.name": "chat"}).events.add().attributes, attributes)
    spans.add("unrelated", **attributes)
    spans.add(**{"gen_ai.operation.name": "chat"})
    decoded = spans.decode()
    assert [refusal.reason for refusal in decoded.refused] == ["text_field"] * 3
    assert decoded.accepted == 1
    assert SECRET.encode() not in pickle.dumps(decoded)

    metrics = Metrics()
    metrics.add("hw.power", "gauge", as_double=1.0, attributes=attributes)
    metrics.add("unknown", "gauge", as_double=1.0, attributes=attributes)
    put(metrics.add("hw.power", "gauge", as_double=1.0).exemplars.add().filtered_attributes, attributes)
    metrics.add("hw.power", "gauge", as_double=1.0)
    decoded = metrics.decode()
    assert [refusal.reason for refusal in decoded.refused] == ["text_field"] * 3
    assert decoded.accepted == 1
    assert SECRET.encode() not in pickle.dumps(decoded)

    around = Metrics(**attributes)
    around.add("hw.power", "gauge", as_double=1.0)
    assert [refusal.reason for refusal in around.decode().refused] == ["text_field"]


def test_text_under_a_json_key_is_refused_where_it_is() -> None:
    spans = Spans()
    for _ in range(2):
        spans.add(**{"gen_ai.operation.name": "chat"})
    record = json.loads(as_json(spans.request))
    inner = record["resourceSpans"][0]["scopeSpans"][0]["spans"]
    inner[0]["extra"] = {"prompt": SECRET}
    decoded = decode("otlp_spans", json.dumps(record).encode())
    assert ([refusal.reason for refusal in decoded.refused], decoded.accepted) == (["text_field"], 1)
    record["resourceSpans"][0]["output"] = SECRET
    decoded = decode("otlp_spans", json.dumps(record).encode())
    assert ([refusal.reason for refusal in decoded.refused], decoded.accepted) == (["text_field"] * 2, 0)
    assert SECRET.encode() not in pickle.dumps(decoded)


def test_one_bad_json_point_refuses_one() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.add("hw.power", "gauge", as_double=1.0)
    record = json.loads(as_json(metrics.request))
    record["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][1]["gauge"]["dataPoints"][0]["asDouble"] = []
    decoded = decode("otlp_metrics", json.dumps(record).encode())
    assert ([refusal.reason for refusal in decoded.refused], decoded.accepted) == (["wrong_type"], 2)


@pytest.mark.parametrize("field", ["timeUnixNano", "startTimeUnixNano", "asInt", "flags"])
@pytest.mark.parametrize("number", ["9" * 400, -1, 2**64])
def test_json_integers_of_any_size_are_refused_not_raised(field: str, number: object) -> None:
    metrics = Metrics()
    metrics.add("hw.power", "gauge", as_int=1, attributes={"driftline.producer_seq": 5})
    record = json.loads(as_json(metrics.request))
    point = record["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"][0]
    for broken in (point, point["attributes"][0]["value"]):
        kept = dict(broken)
        broken["intValue" if "attributes" not in broken else field] = number
        decoded = decode("otlp_metrics", json.dumps(record).encode())
        assert decoded.samples == 1
        broken.clear()
        broken.update(kept)


@given(
    cut=st.integers(0, 400),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
    spans=st.booleans(),
    is_json=st.booleans(),
)
@settings(max_examples=300)
def test_damaged_records_never_raise(
    cut: int, changes: list[tuple[int, int]], spans: bool, is_json: bool
) -> None:
    source = Spans() if spans else Metrics()
    if isinstance(source, Spans):
        source.add(**{"gen_ai.operation.name": "chat", "gen_ai.response.finish_reasons": ["stop"]})
    else:
        source.add(
            "gen_ai.server.queue_time",
            "histogram",
            temporality=1,
            count=1,
            sum=1.5,
            bucket_counts=[0, 1],
            explicit_bounds=[1.0],
        )
        source.add("gen_ai.server.request.duration", "exponential_histogram", temporality=2, scale=3)
        source.add("hw.power", "gauge", as_double=1.0)
    damaged = bytearray(as_json(source.request) if is_json else source.request.SerializeToString())
    for position, byte in changes:
        damaged[position % len(damaged)] = byte
    value = bytes(damaged[: len(damaged) - cut] if cut < len(damaged) else damaged)
    for chunk in decode("otlp_spans" if spans else "otlp_metrics", value, broker_time_ms=NOW_MS).chunks:
        chunk.batch.validate(full=True)
