"""An hour's telemetry of one service, clean or with everything in it that must not get through."""

import base64
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.arrow import stream

START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
SECONDS = 900
MIB = 2**20
#: Planted in text fields, and in bytes that cannot be read: never to be seen again.
CANARY = "zq-canary-of-a-prompt-qz"
#: Planted in values that are wrong but no text: a dead letter may show it.
SHOWN = "a-wrong-but-harmless-value"
#: Planted as numbers of vectors, of samples that are good and of samples that are refused.
VECTOR = np.array([0.1937, -1.4142, 2.7182, -0.5772, 1.6449, -2.6651, 0.9159, 1.2020], "<f4")

Counts = Counter[tuple[str, str, str]]
Record = dict[str, Any]


def write(root: Path, *, poisoned: bool) -> Counts:
    """Write the input below ``root``; returns samples by (topic, outcome, reason)."""
    counts: Counts = Counter()
    for topic, good, bad in (
        ("telemetry.requests.v1", _requests(), _bad_requests()),
        ("telemetry.embeddings.v1", _embeddings(), _bad_embeddings()),
        ("telemetry.gpu.v1", _gpu(), _bad_gpu()),
        ("telemetry.metrics.v1", _metrics(), _bad_metrics()),
        ("changes.v1", _changes(), _bad_changes()),
    ):
        lines = [json.dumps(record) for record in good]
        counts[topic, "accepted", ""] += len(lines)
        if poisoned:
            every = len(lines) // 40 or 1
            for place, (line, outcome, reason) in enumerate(bad):
                lines.insert(min(len(lines), (place + 1) * (every + 1)), line)
                counts[topic, outcome, reason] += 1
        folder = root / topic / "0"
        folder.mkdir(parents=True)
        (folder / "a.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    white = " \r\n\t" if poisoned else ""
    _put(root / "telemetry.requests.v1" / "1" / "a.json", (white + json.dumps(request(0.25))).encode())
    counts["telemetry.requests.v1", "accepted", ""] += 1
    if poisoned:
        _files(root, counts)
    return counts


def request(second: float, **fields: Any) -> Record:
    return {
        "event_time": START_MS + int(second * 1000),
        "request_id": f"q{second}",
        "status": "ok",
        "service": "chat",
        "producer": "gateway",
        "ttft_s": 0.2 + second % 7 / 100,
    } | fields


def _requests() -> Iterator[Record]:
    for number in range(SECONDS * 2):
        yield request(number / 2)


def _bad_requests() -> Iterator[tuple[str, str, str]]:
    def line(**fields: Any) -> str:
        return json.dumps(request(0.125, **fields))

    yield '{"request_id": "' + CANARY + '", broken', "refused", "not_json"
    for number in ("NaN", "Infinity", "-Infinity"):
        yield line()[:-1] + f', "duration_s": {number}, "prompt": "{CANARY}"}}', "refused", "not_json"
    yield line(duration_s=SHOWN), "refused", "wrong_type"
    yield line(service=None), "refused", "missing_field"
    yield line(ttft_s=-0.5), "refused", "out_of_range"
    yield line(top1_probability=1.5), "refused", "out_of_range"
    for text in ({"prompt": CANARY}, {"a": {"b": [{"messages": [{"content": CANARY}]}]}}):
        yield line(**text), "refused", "text_field"
    yield line(x=CANARY).replace('"x"', '"\\u0070rompt"'), "refused", "text_field"
    yield line(x={"prompt": CANARY}, ttft_s=-1), "refused", "text_field"
    yield line(), "late", "gateway"
    yield json.dumps(request(300.0)), "duplicate", ""


def _embeddings() -> Iterator[Record]:
    for number in range(SECONDS):
        yield embedding(number, VECTOR if number % 50 == 0 else np.roll(VECTOR, number) * 0.9)


def embedding(second: float, numbers: Any, **fields: Any) -> Record:
    return {
        "event_time": START_MS + int(second * 1000),
        "request_id": f"q{second}",
        "service": "chat",
        "side": "output",
        "embedder_version": "e1",
        "dim": 8,
        "vector": base64.b64encode(np.asarray(numbers, "<f4").tobytes()).decode(),
    } | fields


def _bad_embeddings() -> Iterator[tuple[str, str, str]]:
    nan = np.where(np.arange(8) == 3, np.nan, VECTOR)
    for second, vector, fields, reason in (
        (0.1, VECTOR, {"dim": 9}, "bad_vector"),
        (0.2, VECTOR, {"dtype": "f16"}, "bad_vector"),
        (0.3, VECTOR, {"dtype": "f64"}, "unknown_value"),
        (0.4, nan, {}, "not_finite"),
        (0.5, VECTOR, {"event_time": CANARY[:2]}, "bad_time"),
        (0.6, VECTOR, {"vector": VECTOR.tolist()}, "wrong_type"),
        (0.7, VECTOR, {"input": CANARY}, "text_field"),
    ):
        yield json.dumps(embedding(second, vector, **fields)), "refused", reason


def _gpu() -> Iterator[Record]:
    for second in range(0, SECONDS, 15):
        yield {"event_time": START_MS + second * 1000, "gpu": "GPU-0", "utilization": 0.7}


def _bad_gpu() -> Iterator[tuple[str, str, str]]:
    bad = {"event_time": START_MS, "gpu": "GPU-0", "utilization": 70}
    yield json.dumps(bad), "refused", "out_of_range"
    yield json.dumps(bad | {"gpu": None, "utilization": 0.7}), "refused", "missing_field"


def _metrics() -> Iterator[Record]:
    for second in range(0, SECONDS, 10):
        yield metric(second)


def metric(second: int, **fields: Any) -> Record:
    named = {"signal": "gen_ai.server.requests_running", "value": 5 + second % 3, "service": "chat"}
    return {"event_time": START_MS + second * 1000} | named | fields


def _bad_metrics() -> Iterator[tuple[str, str, str]]:
    yield json.dumps(metric(0, signal="no.such.signal")), "refused", "unknown_signal"
    yield json.dumps(metric(0, signal="gen_ai.server.kv_cache_usage", value=-0.1)), "refused", "out_of_range"
    yield json.dumps(metric(0, output=CANARY)), "refused", "text_field"


def _changes() -> Iterator[Record]:
    yield {
        "event_time": START_MS + 60_000,
        "change_id": "c1",
        "change_type": "deployment",
        "service": "chat",
    }


def _bad_changes() -> Iterator[tuple[str, str, str]]:
    target = {"event_time": START_MS, "change_id": "c2", "change_type": "config"}
    yield json.dumps(target), "refused", "missing_field"
    yield json.dumps(target | {"service": "chat", "to": {"prompt": CANARY}}), "refused", "text_field"


def _files(root: Path, counts: Counts) -> None:
    """Partitions of their own for what comes as whole files: Arrow, OTLP, giants."""
    requests = root / "telemetry.requests.v1"
    bad = _arrow([request(40 + n) for n in range(6)])
    numbers = pa.array([math.nan, math.inf, -math.inf, -1.0, math.nan, math.inf])
    _put(requests / "2" / "numbers.arrows", stream(bad.append_column("duration_s", numbers)))
    counts["telemetry.requests.v1", "refused", "not_finite"] += 5
    counts["telemetry.requests.v1", "refused", "out_of_range"] += 1
    text = stream(_arrow([request(50, completion=CANARY)]))
    _put(requests / "2" / "text.arrows", text)
    counts["telemetry.requests.v1", "refused", "text_field"] += 1
    _put(requests / "2" / "truncated.arrows", stream(_arrow([request(51, prompt=CANARY * 99)]))[:-600])
    counts["telemetry.requests.v1", "refused", "framing"] += 1
    bomb = pa.array([CANARY * (17 * MIB // len(CANARY))])
    large = stream(_arrow([request(52)]).append_column("x", bomb), compression="zstd")
    _put(requests / "2" / "z-bomb.arrows", large)
    counts["telemetry.requests.v1", "refused", "too_large"] += 1
    giant = b'{"prompt": "' + CANARY.encode() * (100 * MIB // len(CANARY)) + b'"}'
    _put(requests / "3" / "giant.ndjson.zst", zstandard.compress(giant))
    counts["telemetry.requests.v1", "refused", "too_large"] += 1

    vectors = pa.array([VECTOR.tolist(), VECTOR.tolist()], pa.list_(pa.float32(), 8))
    table = _arrow([embedding(60, VECTOR) | {"dim": dim} for dim in (7, 9)])
    table = table.set_column(table.column_names.index("vector"), "vector", vectors)
    _put(root / "telemetry.embeddings.v1" / "1" / "a.arrow", stream(table))
    counts["telemetry.embeddings.v1", "refused", "bad_vector"] += 2

    _otlp(root, counts)
    _put(root / "telemetry.unknown.v1" / "a.ndjson", json.dumps({"prompt": CANARY}).encode())


def _otlp(root: Path, counts: Counts) -> None:
    export = ExportMetricsServiceRequest()
    resource = export.resource_metrics.add()
    service = resource.resource.attributes.add(key="service.name")
    service.value.string_value = "chat"
    metrics = resource.scope_metrics.add().metrics
    for name, key in (("nothing.we.know", "colour"), ("gen_ai.client.operation.duration", "gen_ai.prompt")):
        point = metrics.add(name=name, unit="s").gauge.data_points.add(time_unix_nano=START_MS * 10**6)
        point.as_double = 1.0
        point.attributes.add(key=key).value.string_value = CANARY if key == "gen_ai.prompt" else "red"
    value = export.SerializeToString()
    _put(root / "otlp_metrics" / "whole.json", value)
    _put(root / "otlp_metrics" / "z-truncated.json", value[:-7])
    counts["otlp_metrics", "ignored", "nothing.we.know"] += 1
    counts["otlp_metrics", "refused", "text_field"] += 1
    counts["otlp_metrics", "refused", "framing"] += 1
    spans = {"key": "gen_ai.input.messages", "value": {"stringValue": CANARY}}
    span = {"name": "chat", "startTimeUnixNano": "1", "endTimeUnixNano": "2", "attributes": [spans]}
    tree = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    _put(root / "otlp_spans" / "a.json", json.dumps(tree).encode())
    counts["otlp_spans", "refused", "text_field"] += 1


def _arrow(records: list[Record]) -> pa.Table:
    return pa.Table.from_pylist(records)


def _put(path: Path, value: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value)
