"""OpenTelemetry for real: the SDK's metrics and spans, as the collector's exporter writes them, to events.

The SDK stamps metrics with its own clock, so the times of their points are set to the minute they stand for.
"""

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from benchmarks.reliability.topics import recreate
from operators.clickhouse import Store
from pipelines.config import Kafka, resolve
from pipelines.engines.job import Job
from pipelines.run import start
from pipelines.stack import Stack
from tests.engines.broker import send

START_S = 1_767_571_200  # 2026-01-05T00:00:00Z
MINUTES, FAULT_FROM, FAULT_TO = 50, 35, 45
REPLICAS = ("r0", "r1", "r2")
SICK = "r1"
SCRAPE_S = 15


class Server:
    """One inference server with OpenTelemetry's SDK in it."""

    def __init__(self, replica: str) -> None:
        resource = Resource.create(
            {"service.name": "chat", "service.version": "v1", "service.instance.id": replica}
        )
        self._metrics = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        self._meters = MeterProvider([self._metrics], resource=resource)
        self._tracers = TracerProvider(resource=resource)
        self._tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        meter = self._meters.get_meter("vllm")
        self._ttft = meter.create_histogram(
            "gen_ai.server.time_to_first_token",
            "s",
            explicit_bucket_boundaries_advisory=[0.01 * 1.5**power for power in range(18)],
        )
        self._tracer = self._tracers.get_tracer("vllm")

    def serve(self, at_s: float, ttft_s: float, duration_s: float, *, failed: bool) -> None:
        """One request that ends at this time."""
        model = {"gen_ai.request.model": "llama-70b", "gen_ai.provider.name": "vllm"}
        self._ttft.record(ttft_s, model)
        told = {"gen_ai.operation.name": "chat", "gen_ai.response.time_to_first_chunk": ttft_s}
        span = self._tracer.start_span(
            "chat llama-70b", attributes=model | told, start_time=int((at_s - duration_s) * 1e9)
        )
        if failed:
            span.set_attribute("error.type", "oom")
            span.set_status(Status(StatusCode.ERROR))
        span.end(int(at_s * 1e9))

    def scrape(self, at_s: int) -> Any:
        """An ``ExportMetricsServiceRequest`` as of this time."""
        request = encode_metrics(self._metrics.get_metrics_data())
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.histogram.data_points:
                        point.start_time_unix_nano = START_S * 10**9
                        point.time_unix_nano = at_s * 10**9
        return request

    def finished(self) -> Any:
        """An ``ExportTraceServiceRequest`` of the spans that ended since the last."""
        request = encode_spans(self._spans.get_finished_spans())
        self._spans.clear()
        return request

    def close(self) -> None:
        self._meters.shutdown()
        self._tracers.shutdown()


def day() -> Iterator[tuple[str, Any]]:
    """Topic and message, in order of time; one replica is slow for some minutes."""
    rng = random.Random(5)
    servers = {replica: Server(replica) for replica in REPLICAS}
    for at_s in range(START_S, START_S + MINUTES * 60):
        minute = (at_s - START_S) / 60
        for replica, server in servers.items():
            sick = replica == SICK and FAULT_FROM <= minute < FAULT_TO
            ttft_s = rng.lognormvariate(-1.2, 0.3) * (6 if sick else 1)
            server.serve(at_s + rng.random(), ttft_s, ttft_s + 2.0, failed=rng.random() < 0.01)
        if (at_s + 1) % SCRAPE_S == 0:
            for server in servers.values():
                yield "otlp_metrics", server.scrape(at_s + 1)
                yield "otlp_spans", server.finished()
    for server in servers.values():
        server.close()


def otlp_json(message: Any) -> bytes:
    """OTLP/JSON: protobuf's mapping with ids as hex (the collector's ``otlp_json``)."""
    tree = json_format.MessageToDict(message)
    for resource in tree.get("resourceSpans", ()):
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId"):
                    span[name] = base64.b64decode(span[name]).hex()
    return json.dumps(tree).encode()


@pytest.fixture(scope="module")
def told() -> list[tuple[str, Any]]:
    return list(day())


@pytest.fixture(scope="module")
def servers(stack: Stack) -> str:
    stack.up("kafka")
    return stack.kafka


@pytest.mark.parametrize(
    ("encoding", "client"), [("otlp_proto", "confluent-kafka"), ("otlp_json", "kafka-python")]
)
def test_a_slow_replica_is_found_in_what_the_sdk_tells(
    servers: str, told: list[tuple[str, Any]], tmp_path: Path, encoding: str, client: str
) -> None:
    encode = otlp_json if encoding == "otlp_json" else lambda message: message.SerializeToString()
    values: dict[str, list[bytes]] = {}
    for topic, message in told:
        values.setdefault(topic, []).append(encode(message))
    recreate(servers, dict.fromkeys(values, 1))
    for topic, records in values.items():
        send(servers, topic, records, time_ms=(START_S + 3600) * 1000)
    config = resolve(
        input=f"kafka://{servers}",
        clickhouse=f"chdb:{tmp_path / 'db'}",
        engine="local",
        correlate_s=1e9,
        kafka=Kafka(client=client, group=encoding, topics=("otlp_metrics", "otlp_spans")),
    )
    report = start(Job(config, until_end=True))
    accounts = report.accounts
    requests = MINUTES * 60 * len(REPLICAS)
    assert accounts["otlp_spans"]["in"] == accounts["otlp_spans"]["accepted"] == requests
    scrapes = MINUTES * 60 // SCRAPE_S * len(REPLICAS)
    assert accounts["otlp_metrics"]["in"] == accounts["otlp_metrics"]["accepted"] == scrapes
    with Store.open(config.clickhouse) as store:
        found = store.query(
            "SELECT topic, signal, toUnixTimestamp(window_start) AS onset, service_instance_id AS replica,"
            " severity FROM anomaly_events FINAL"
        ).to_pylist()
    ttft = {
        row["topic"]
        for row in found
        if row["signal"] == "gen_ai.server.time_to_first_token" and row["replica"] == SICK
    }
    assert ttft == {"otlp_metrics", "otlp_spans"}
    onsets = [row["onset"] for row in found if row["severity"] != "info"]
    fault = range(START_S + (FAULT_FROM - 2) * 60, START_S + (FAULT_TO + 2) * 60)
    assert onsets
    assert all(onset in fault for onset in onsets)
