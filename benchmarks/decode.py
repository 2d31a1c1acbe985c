"""How fast records become chunks, by wire format: samples a second on one core.

Run: ``python -m benchmarks.decode [OUT.json]``.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from rich.console import Console
from rich.table import Table

from schemas.arrow import schema_of
from schemas.wire import decode

ROWS = 1000
POINTS = 200


def run(seconds: float = 1.0) -> dict[str, Any]:
    """Measure every format for about ``seconds``; the fastest pass counts.

    Returns:
        Format → samples a second, microseconds a record, and bytes a sample.
    """
    requests = "telemetry.requests.v1"
    rows = [request(index) for index in range(ROWS)]
    lines = [msgspec.json.encode(row) for row in rows]
    table = pa.Table.from_pylist(
        [{**row, "event_time": 1_767_571_200_000 + index} for index, row in enumerate(rows)],
        schema=schema_of("requests"),
    ).select(list(rows[0]))
    cases: dict[str, tuple[str, list[bytes], int]] = {
        "JSON, one object a record": (requests, lines, ROWS),
        f"NDJSON, {ROWS} rows a record": (requests, [b"\n".join(lines)], ROWS),
        f"JSON array, {ROWS} rows": (requests, [b"[" + b",".join(lines) + b"]"], ROWS),
        f"NDJSON, {ROWS} rows, an unknown field": (
            requests,
            [b"\n".join(line[:-1] + b',"zone":"b"}' for line in lines)],
            ROWS,
        ),
        f"Arrow stream, {ROWS} rows": (requests, [arrow(table)], ROWS),
        f"Arrow stream, {ROWS} rows, ZSTD": (requests, [arrow(table, compression="zstd")], ROWS),
        f"OTLP protobuf, {POINTS} histogram points": ("otlp_metrics", [otlp().SerializeToString()], POINTS),
        f"OTLP JSON, {POINTS} histogram points": ("otlp_metrics", [otlp_json()], POINTS),
    }
    return {
        name: _measure(topic, values, samples, seconds) for name, (topic, values, samples) in cases.items()
    }


def request(index: int) -> dict[str, Any]:
    """A completed request with the fields a busy server sends."""
    return {
        "event_time": f"2026-01-05T00:00:{index % 60:02d}.{index % 1000:03d}Z",
        "environment": "production",
        "service": "llm-serving",
        "service_version": "v1",
        "region": "eu-west1",
        "replica": f"replica-{index % 8}",
        "gpu": f"GPU-{index % 8}",
        "request_model": "llama-70b",
        "route": "chat",
        "producer": f"gateway-{index % 4}",
        "producer_seq": index,
        "request_id": f"req-{index:08d}",
        "status": "ok",
        "finish_reason": "stop",
        "ttft_s": 0.2 + index * 1e-4,
        "tpot_s": 0.01,
        "duration_s": 1.5,
        "queue_s": 0.01,
        "input_tokens": 300 + index % 7,
        "output_tokens": 12 + index % 31,
    }


def arrow(table: pa.Table, **options: Any) -> bytes:
    """A table as one Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    encoded: bytes = sink.getvalue().to_pybytes()
    return encoded


def otlp() -> Any:
    """One collector record: a histogram of vLLM's time to first token, from many replicas."""
    message = ExportMetricsServiceRequest()
    resource = message.resource_metrics.add()
    _set(resource.resource.attributes, "service.name", "llm-serving")
    metric = resource.scope_metrics.add().metrics.add(name="vllm:time_to_first_token_seconds", unit="s")
    metric.histogram.aggregation_temporality = 2
    bounds = [0.01 * 2**power for power in range(14)]
    for index in range(POINTS):
        point = metric.histogram.data_points.add(
            start_time_unix_nano=1_767_571_200_000_000_000,
            time_unix_nano=1_767_571_260_000_000_000,
            count=150,
            sum=40.0,
            bucket_counts=[10] * 15,
            explicit_bounds=bounds,
        )
        for name, value in (
            ("model_name", "llama-70b"),
            ("engine", "0"),
            ("service.instance.id", f"r-{index}"),
        ):
            _set(point.attributes, name, value)
    return message


def otlp_json() -> bytes:
    """The same record as OTLP/JSON (it has no ids, where protobuf's JSON mapping and OTLP's differ)."""
    from google.protobuf import json_format

    return json_format.MessageToJson(otlp(), indent=None).encode()


def _set(attributes: Any, name: str, value: str) -> None:
    attribute = attributes.add()
    attribute.key = name
    attribute.value.string_value = value


def _measure(topic: str, values: list[bytes], samples: int, seconds: float) -> dict[str, float]:
    def one_pass() -> float:
        start = time.perf_counter()
        for value in values:
            decode(topic, value)
        return time.perf_counter() - start

    accepted = sum(decode(topic, value).accepted for value in values)
    if accepted != samples:
        raise RuntimeError(f"{topic}: {accepted} of {samples} samples accepted")
    end = time.perf_counter() + seconds
    best = one_pass()
    while time.perf_counter() < end:
        best = min(best, one_pass())
    return {
        "samples_per_s": samples / best,
        "us_per_record": best / len(values) * 1e6,
        "bytes_per_sample": sum(map(len, values)) / samples,
    }


def show(results: dict[str, Any]) -> None:
    """Print the figures as a table."""
    table = Table("format", "samples/s", "µs a record", "bytes a sample", title="Decode, one core")
    for name, figures in results.items():
        table.add_row(
            name,
            f"{figures['samples_per_s']:,.0f}",
            f"{figures['us_per_record']:,.0f}",
            f"{figures['bytes_per_sample']:,.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    found = run()
    show(found)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(found, indent=2) + "\n")
