"""State and closing: bytes a series, snapshot and restore rates, and what closing a window costs."""

import json
import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa

from operators.cells import cell_schema
from operators.message import Message
from operators.settings import Settings
from operators.shard import Shard

START = 1_767_571_200_000
SETTINGS = Settings(shards=1)
WARM_UP, MEASURED = 3, 3


def cells(replicas: int, bucket: int, rng: np.random.Generator) -> bytes:
    """One bucket of two latency signals of each replica, 20 samples each."""
    schema = cell_schema(SETTINGS.slices)
    n = 2 * replicas
    bins = np.sort(rng.integers(-40, 40, (n, 8)), axis=1) + np.arange(8)
    counts = np.full(8 * n, 5, np.int64)
    words: dict[str, Any] = {
        "topic": (["telemetry.requests.v1"], np.zeros(n, np.int32)),
        "signal": (
            ["gen_ai.server.time_to_first_token", "gen_ai.server.time_per_output_token"],
            np.repeat(np.arange(2, dtype=np.int32), replicas),
        ),
        "attribute": ([""], np.zeros(n, np.int32)),
        "service": (["chat"], np.zeros(n, np.int32)),
        "request_model": (["m"], np.zeros(n, np.int32)),
        "service_version": (["v1"], np.zeros(n, np.int32)),
        "replica": ([f"r{i}" for i in range(replicas)], np.tile(np.arange(replicas, dtype=np.int32), 2)),
    }
    lists = pa.array(np.arange(n + 1, dtype=np.int32) * 8)
    none = pa.array(np.zeros(n + 1, np.int32))
    plain = {
        "bucket": pa.array(np.full(n, bucket)),
        "count": pa.array(np.full(n, 40)),
        "sum": pa.array(np.full(n, 40_000_000) + rng.integers(-(10**6), 10**6, n)),
        "min": pa.array(np.full(n, 0.1)),
        "max": pa.array(np.full(n, 9.0)),
        "bins": pa.ListArray.from_arrays(lists, pa.array(bins.reshape(-1).astype(np.int32))),
        "bin_counts": pa.ListArray.from_arrays(lists, pa.array(counts)),
        "point_times": pa.ListArray.from_arrays(none, pa.array([], pa.int64())),
        "point_values": pa.ListArray.from_arrays(none, pa.array([], pa.float64())),
        "stream": pa.nulls(n, pa.int64()),
    }
    columns = []
    for field in schema:
        if field.name in plain:
            columns.append(plain[field.name])
        elif field.name in words:
            values, codes = words[field.name]
            columns.append(pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(values)))
        else:
            columns.append(pa.nulls(n, field.type))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return bytes(sink.getvalue())


def measure(series: int) -> dict[str, float]:
    """Figures for about so many (series, statistic) rows: 8 a replica, each updated every bucket."""
    shard, rng = Shard(0, SETTINGS), np.random.default_rng(0)
    replicas = max(series // 8, 1)
    seconds, step_ms, after = [], SETTINGS.windows.detect_s * 1000, -1
    judging = [0.0]
    step = shard.evaluation.bank.step

    def timed(*arguments: Any) -> Any:
        began = time.perf_counter()
        verdicts = step(*arguments)
        judging[0] += time.perf_counter() - began
        return verdicts

    shard.evaluation.bank.step = timed  # type: ignore[method-assign]
    without = []
    for window in range(WARM_UP + MEASURED):
        first = START + window * step_ms
        for bucket in range(first, first + step_ms, SETTINGS.windows.bucket_s * 1000):
            message = Message(
                partition="t/0", after=after, offset=bucket, time_ms=bucket, partitions=("t/0",),
                cells=cells(replicas, bucket, rng), ledger={"telemetry.requests.v1": {bucket: 1}},
            )  # fmt: skip
            after = bucket
            shard.receive(message)
        closing = Message(
            partition="t/0",
            after=after,
            offset=after + 1,
            time_ms=first + step_ms + 30_000,
            partitions=("t/0",),
        )
        after += 1
        judging[0], began = 0.0, time.perf_counter()
        shard.receive(closing)
        seconds.append(time.perf_counter() - began)
        without.append(seconds[-1] - judging[0])
    rows = len(shard.evaluation.bank.keys)
    began = time.perf_counter()
    data = shard.snapshot()
    wrote = time.perf_counter() - began
    began = time.perf_counter()
    Shard.restore(data, SETTINGS)
    read = time.perf_counter() - began
    arrays = shard.evaluation.snapshot()[1]
    return {
        "rows": rows,
        "state_bytes_per_row": sum(array.nbytes for array in arrays.values()) / rows,
        "snapshot_bytes_per_row": len(data) / rows,
        "snapshot_rows_per_s": rows / wrote,
        "restore_rows_per_s": rows / read,
        "close_window_s": float(np.median(seconds[WARM_UP:])),
        "close_window_without_detection_s": float(np.median(without[WARM_UP:])),
        "closed_rows_per_s": rows / float(np.median(seconds[WARM_UP:])),
    }


def run(sizes: tuple[int, ...] = (1_000, 10_000, 100_000)) -> dict[str, dict[str, float]]:
    """Figures by number of (series, statistic) rows."""
    return {str(size): measure(size) for size in sizes}


if __name__ == "__main__":
    found = run(tuple(map(int, sys.argv[1:])) or (1_000, 10_000, 100_000))
    for size, figures in found.items():
        print(size, " ".join(f"{name}={value:,.4g}" for name, value in figures.items()), file=sys.stderr)
    print(json.dumps(found, indent=1))
