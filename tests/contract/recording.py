"""A small recorded input with everything in it that engines could treat differently."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
MINUTES = 45
FAULT_FROM_MIN = 35
REPLICAS = ("r0", "r1", "r2")


def write(root: Path) -> None:
    """Requests in two partitions, GPU scrapes, gauges, a change; late, repeated and bad ones too."""
    rng = random.Random(7)
    requests = sorted(_requests(rng), key=lambda record: record["event_time"])
    for number in (0, 1):
        own = [record for record in requests if (record["replica"] == "r0") == (number == 0)]
        _save(root / "telemetry.requests.v1" / str(number), _spoilt(own, rng))
    _save(root / "telemetry.gpu.v1", (json.dumps(record) for record in _gpu(rng)))
    _save(root / "telemetry.metrics.v1", (json.dumps(record) for record in _gauges(rng)))
    change = {
        "event_time": START_MS + FAULT_FROM_MIN * 60_000,
        "change_id": "deploy-1",
        "change_type": "deployment",
        "service": "chat",
        "from": "v1",
        "to": "v1.1",
    }
    _save(root / "changes.v1", [json.dumps(change)])


def _requests(rng: random.Random) -> Iterator[dict[str, Any]]:
    for number in range(MINUTES * 60 * 2):
        time = START_MS + number * 500 + rng.randrange(400)
        minute = (time - START_MS) / 60_000
        replica = rng.choice(REPLICAS)
        slow = 6.0 if minute >= FAULT_FROM_MIN and replica == "r1" else 1.0
        failed = rng.random() < (0.3 if slow > 1 else 0.01)
        yield {
            "event_time": time,
            "request_id": f"q{number}",
            "status": "error" if failed else "ok",
            "service": "chat",
            "request_model": "m",
            "service_version": "v1",
            "replica": replica,
            "producer": f"gateway-{replica}",
            "ttft_s": round(rng.lognormvariate(-1.2, 0.3) * slow, 4),
            "duration_s": round(rng.lognormvariate(1.0, 0.3) * slow, 4),
            "output_tokens": rng.randrange(20, 400),
        } | ({"error_type": "oom"} if failed else {})


def _spoilt(records: list[dict[str, Any]], rng: random.Random) -> Iterator[str]:
    """The records as lines, with what must be refused, counted late, or counted once among them."""
    poison = ("{broken", '{"event_time": 1}', "[]", '{"prompt": "secret words"}', '"text"')
    for number, record in enumerate(records):
        yield json.dumps(record)
        if number % 97 == 5:
            yield json.dumps(record)  # the same again
        if number % 101 == 7:
            yield rng.choice(poison)
        if number % 89 == 3:
            yield json.dumps(
                record | {"event_time": record["event_time"] - 90_000, "request_id": f"late{number}"}
            )
        if number % 113 == 11:
            yield json.dumps(record | {"request_id": f"odd{number}", "ttft_s": -1, "colour": "red"})


def _gpu(rng: random.Random) -> Iterator[dict[str, Any]]:
    for second in range(0, MINUTES * 60, 15):
        for gpu in ("GPU-0", "GPU-1"):
            hot = 12 if second >= FAULT_FROM_MIN * 60 and gpu == "GPU-1" else 0
            yield {
                "event_time": START_MS + second * 1000,
                "gpu": gpu,
                "node": "n0",
                "utilization": round(min(1.0, max(0.0, rng.gauss(0.7, 0.03))), 4),
                "temperature_c": round(rng.gauss(65, 1) + hot, 2),
                "ecc_corrected_total": second // 600,
                "xid": 0,
            }


def _gauges(rng: random.Random) -> Iterator[dict[str, Any]]:
    for second in range(0, MINUTES * 60, 10):
        yield {
            "event_time": START_MS + second * 1000,
            "service": "chat",
            "request_model": "m",
            "signal": "gen_ai.server.requests_running",
            "value": rng.randrange(4, 12),
        }
        if second % 300 == 0:
            yield {"event_time": START_MS + second * 1000, "service": "chat", "signal": "no.such", "value": 1}


def _save(folder: Path, lines: Any) -> None:
    folder.mkdir(parents=True)
    (folder / "part.ndjson").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
