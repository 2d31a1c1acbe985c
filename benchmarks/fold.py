"""Speed of the fold: request samples a second on one core, by chunk size."""

import json
import time
from typing import Any

import numpy as np
import pyarrow as pa

from operators.fold import fold
from operators.settings import Settings
from schemas.chunk import Chunk

_START_MS = 1_767_571_200_000


def request_chunk(rows: int, seed: int = 0) -> Chunk:
    """Requests of one producer over 8 replicas within 20 s, about ten fields filled."""
    rng = np.random.default_rng(seed)

    def words(values: list[str]) -> Any:
        picked = rng.integers(0, len(values), rows).astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(picked), pa.array(values))

    columns = {
        "service": words(["chat"]),
        "service_version": words(["v1"]),
        "region": words(["eu-west1"]),
        "node": words([f"node-{index}" for index in range(4)]),
        "replica": words([f"replica-{index}" for index in range(8)]),
        "request_model": words(["llama-70b"]),
        "route": words(["/chat"]),
        "producer": words(["gateway-1"]),
        "producer_seq": pa.array(np.arange(rows)),
        "event_time": pa.array(_START_MS + np.sort(rng.integers(0, 20_000, rows))),
        "status": words(["ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "error", "started"]),
        "finish_reason": words(["stop", "stop", "length"]),
        "ttft_s": pa.array(rng.lognormal(-1.5, 0.5, rows)),
        "tpot_s": pa.array(rng.lognormal(-4.0, 0.2, rows)),
        "duration_s": pa.array(rng.lognormal(1.0, 0.5, rows)),
        "queue_s": pa.array(rng.exponential(0.05, rows)),
        "input_tokens": pa.array(rng.integers(1, 4000, rows)),
        "output_tokens": pa.array(rng.integers(1, 800, rows)),
        "top1_probability": pa.array(rng.beta(8, 2, rows)),
        "entropy": pa.array(rng.gamma(2.0, 0.5, rows)),
        "repetition_ratio": pa.array(rng.beta(1, 20, rows)),
        "refused": pa.array(rng.random(rows) < 0.01),
    }
    return Chunk("telemetry.requests.v1", "requests", pa.RecordBatch.from_pydict(columns))


def run(seconds: float = 2.0) -> dict[str, Any]:
    """Fold chunks of several sizes for about ``seconds`` each."""
    found: dict[str, Any] = {}
    for rows in (100, 1_000, 10_000, 100_000):
        chunks = [request_chunk(rows, seed) for seed in range(4)]
        fold(chunks[:1], Settings())
        folded, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            fold([chunks[folded % 4]], Settings())
            folded += 1
        found[f"samples_per_s_{rows}"] = round(folded * rows / (time.perf_counter() - began))
    return found


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
