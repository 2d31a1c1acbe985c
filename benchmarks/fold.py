"""Speed of the source side: request samples a second of one core's time, folded alone, and taken in whole.

The intake's figures hold everything up to the messages: decoding, time, lateness, duplicates, fold, routing.
"""

import json
import time
from typing import Any

import numpy as np
import pyarrow as pa

from operators.fold import fold
from operators.intake import Intake, SourceRecord
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


_TOPIC = "telemetry.requests.v1"


def _records(values: list[bytes]) -> list[SourceRecord]:
    return [SourceRecord(_TOPIC, f"{_TOPIC}/0", index, value, None) for index, value in enumerate(values)]


def _samples(rows: int, seed: int) -> pa.Table:
    """`request_chunk` as a producer would send it: with request ids, numbered and in time on."""
    batch = request_chunk(rows, seed).batch
    table = pa.Table.from_batches([batch])
    place = table.schema.get_field_index("event_time")
    later = pa.array(batch.column("event_time").to_numpy() + seed * 20_000)
    table = table.set_column(place, "event_time", later)
    return table.append_column("request_id", pa.array([f"{seed}-{row:032d}" for row in range(rows)]))


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _intake_rate(records: list[SourceRecord], samples: int, delivery: int) -> int:
    intake = Intake(_TOPIC, f"{_TOPIC}/0", Settings())
    began = time.process_time()
    taken = [intake.take(records[at : at + delivery]).accounts for at in range(0, len(records), delivery)]
    spent = time.process_time() - began
    assert sum(accounts.accepted.total() for accounts in taken) == samples
    return round(samples / spent)


def run(seconds: float = 2.0) -> dict[str, Any]:
    """Fold chunks of several sizes for about ``seconds`` each, then take records in."""
    found: dict[str, Any] = {}
    for rows in (100, 1_000, 10_000, 100_000):
        chunks = [request_chunk(rows, seed) for seed in range(4)]
        fold(chunks[:1], Settings())
        folded, began = 0, time.process_time()
        while time.process_time() - began < seconds:
            fold([chunks[folded % 4]], Settings())
            folded += 1
        found[f"fold_samples_per_s_{rows}"] = round(folded * rows / (time.process_time() - began))
    tables = [_samples(1_000, seed) for seed in range(100)]
    arrow = _records([_arrow(table) for table in tables])
    found["intake_samples_per_s_arrow_1000"] = _intake_rate(arrow, 100_000, 10)
    lines = [json.dumps(row).encode() for table in tables[:40] for row in table.to_pylist()]
    found["intake_samples_per_s_json_1"] = _intake_rate(_records(lines), 40_000, 2_000)
    return found


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
