"""``make bench-soak``: half an hour at a steady rate in real time, Kafka to engine to ClickHouse.

Event time is wall time. Looked at all the while: memory and open files of every process, sizes on disk, and
when what was sent can be read in the store: each bucket's rows, and each revision of an event. Forty minutes
of thin history go before, so that the detectors are warm; of eight replicas one is slow for some minutes.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Producer

from benchmarks.fold import _arrow, _samples
from benchmarks.reliability import SOAKS
from benchmarks.reliability.place import PARTS, FaultError, Place
from benchmarks.reliability.recorded import REQUESTS, Record
from operators.clickhouse import Store, StoreError
from pipelines.stack import Stack

A_RECORD = 1_000
PARTITIONS = 2
HISTORY_S = 2_400
HISTORY_PER_S = 400
#: Allowed lateness, and what one row of the store covers: a detection window.
LATENESS_S, ROW_S = 30, 60
#: Of each ten minutes, these have a slow replica.
SLOW_MINUTES = range(5, 8)
LOOK_EVERY_S = 10.0
POLL_EVERY_S = 1.0
#: Of what was read long ago the disk need not be full.
KEEP = {"retention.bytes": str(256 << 20), "segment.bytes": str(64 << 20)}
#: What the engine may gain a minute over the last two thirds, MB, and which processes it is: on Flink the
#: pool's workers, too. Java's have a bound of their own, which they fill.
SLOPE_MB, OURS = 2.0, ("engine", "worker-pool-0")


class Load(threading.Thread):
    """Records of a thousand samples at a steady rate, in real time, until told to stop."""

    def __init__(self, servers: str, rate: int) -> None:
        super().__init__(daemon=True)
        words = {"bootstrap.servers": servers, "linger.ms": 5, "log_level": 0, "enable.idempotence": True}
        self._producer = Producer(words)
        self._rate = rate
        self._shapes = [_samples(A_RECORD, seed) for seed in range(20)]
        self._slow = [_slowed(table) for table in self._shapes]
        self.over = threading.Event()
        self.sent = 0
        self.behind_s = 0.0

    def history(self, until_ms: int) -> None:
        """What came before, thinly."""
        span = 1_000 * A_RECORD // HISTORY_PER_S
        for number, start in enumerate(range(until_ms - HISTORY_S * 1_000, until_ms, span)):
            self._send(number, start, span, slow=False)
        self._producer.flush(60)

    def run(self) -> None:
        """Send until it is over."""
        span = 1_000 * A_RECORD / self._rate
        began_ms = time.time() * 1_000
        number = 0
        while not self.over.is_set():
            start = began_ms + number * span
            wait = (start + span) / 1_000 - time.time()
            if wait > 0:
                time.sleep(wait)
            self.behind_s = max(self.behind_s, -wait)
            minute = int((start - began_ms) // 60_000)
            self._send(number, int(start), int(span), slow=minute % 10 in SLOW_MINUTES)
            number += 1
        self._producer.flush(60)

    def _send(self, number: int, start_ms: int, span_ms: int, *, slow: bool) -> None:
        table = (self._slow if slow else self._shapes)[number % len(self._shapes)]
        times = start_ms + np.arange(A_RECORD) * span_ms // A_RECORD
        place = table.schema.get_field_index("event_time")
        table = table.set_column(place, "event_time", pa.array(times))
        self._producer.produce(REQUESTS, _arrow(table), partition=number % PARTITIONS)
        self._producer.poll(0)
        self.sent += A_RECORD


def _slowed(table: pa.Table) -> pa.Table:
    """The same with one of its replicas four times as slow."""
    hit = pc.equal(table.column("replica").cast(pa.string()), "replica-3")
    for name in ("ttft_s", "duration_s"):
        column = table.column(name)
        slow = pc.if_else(hit, pc.multiply(column, 4.0), column)
        table = table.set_column(table.schema.get_field_index(name), name, slow)
    return table


class Looking(threading.Thread):
    """When a window of each signal, and each revision of an event, could first be read in the store."""

    def __init__(self, url: str, since_ms: int) -> None:
        super().__init__(daemon=True)
        self._url, self._since_ms = url, since_ms
        self.over = threading.Event()
        self.rows: dict[tuple[int, str], float] = {}
        self.events: dict[tuple[str, int], tuple[float, int]] = {}

    def run(self) -> None:
        """Look every second until it is over."""
        while not self.over.wait(POLL_EVERY_S):
            try:
                with Store.open(self._url) as store:
                    while not self.over.wait(POLL_EVERY_S):
                        self._look(store)
            except StoreError:
                continue

    def _look(self, store: Store) -> None:
        since = f"fromUnixTimestamp64Milli({self._since_ms})"
        sql = "SELECT DISTINCT toUnixTimestamp64Milli(bucket_start) AS n, signal AS s FROM signal_buckets"
        found = store.query(f"{sql} WHERE bucket_start > {since} AND bucket_start > now() - 600")
        for row in found.to_pylist():
            self.rows.setdefault((row["n"], row["s"]), time.time())
        sql = "SELECT toString(event_id) AS e, revision AS r, toUnixTimestamp64Milli(updated_at) AS u"
        rows = store.query(
            f"{sql} FROM anomaly_events WHERE updated_at > {since} AND updated_at > now() - 600"
        )
        for row in rows.to_pylist():
            self.events.setdefault((row["e"], row["r"]), (time.time(), row["u"]))

    def of_rows(self) -> list[float]:
        """Seconds from a sample's time to the rows it is in, for 100 moments spread over what they cover."""
        offsets = np.linspace(0, ROW_S, 100, endpoint=False)
        return [seen - start / 1_000 - at for (start, _), seen in self.rows.items() for at in offsets]

    def of_events(self) -> list[float]:
        """Seconds from the end of the window that made a revision to the revision."""
        return [seen - (updated / 1_000 - LATENESS_S) for seen, updated in self.events.values()]


def look(place: Place, stack: Stack, load: Load, began: float) -> dict[str, Any]:
    """How all processes do now."""
    assert place.process is not None
    engine = psutil.Process(place.process.pid)
    family = [engine, *engine.children(recursive=True)]
    memory = {one.name: one.memory for one in stack.status()}
    memory["engine"] = sum(one.memory_info().rss for one in family)
    pids = {one.name: one.pid for one in stack.status()} | {"engine": engine.pid}
    return {
        "second": round(time.monotonic() - began, 1),
        "sent": load.sent,
        "mb": {name: round(size / 1e6, 1) for name, size in memory.items()},
        "files": {name: psutil.Process(pid).num_fds() for name, pid in pids.items() if pid},
        "disk_mb": {
            "changelogs": _size(stack.folder / "kafka", "*-changelog-*"),
            "clickhouse": _size(stack.folder, "clickhouse"),
        },
        "load_average": os.getloadavg()[0],
    }


def _size(folder: Path, pattern: str) -> float:
    total = 0
    for top in folder.glob(pattern):
        for where, _, names in os.walk(top):  # which minds nothing that is gone meanwhile
            for name in names:
                with suppress(OSError):
                    total += 512 * (Path(where) / name).stat().st_blocks  # Kafka's indexes are sparse
    return round(total / 1e6, 1)


def summary(engine: str, rate: int, looks: Sequence[Mapping[str, Any]], looking: Looking) -> dict[str, Any]:
    """The figures of a soak, and whether its bars hold."""
    late = looks[len(looks) // 3 :]
    minutes = np.array([each["second"] / 60 for each in late])
    rows = {}
    for name in late[-1]["mb"]:
        mb = np.array([each["mb"].get(name, np.nan) for each in late])
        rows[name] = {
            "MB at first": looks[0]["mb"].get(name),
            "MB at most": max(each["mb"].get(name, 0) for each in looks),
            "MB at last": late[-1]["mb"][name],
            "MB a minute, last two thirds": round(float(np.polyfit(minutes, mb, 1)[0]), 3)
            if len(mb) > 2
            else None,
            "open files at most": max(each["files"].get(name, 0) for each in looks),
        }
    delays = {
        "a sample's time to its rows": looking.of_rows(),
        "window's end to events": looking.of_events(),
    }
    bar = ROW_S + LATENESS_S + 5
    told = {
        name: {
            "number": len(looking.rows if name.startswith("a sample") else values),
            **{f"p{q} s": round(float(np.percentile(values, q)), 2) if values else None for q in (50, 99)},
            "most s": round(max(values), 2) if values else None,
        }
        for name, values in delays.items()
    }
    seconds = looks[-1]["second"] - looks[0]["second"]
    p99 = told["a sample's time to its rows"]["p99 s"]
    return {
        "engine": engine,
        "rate": rate,
        "minutes": round(seconds / 60, 1),
        "sent": looks[-1]["sent"] - looks[0]["sent"],
        "samples_per_s": round((looks[-1]["sent"] - looks[0]["sent"]) / max(1.0, seconds)),
        "delay_bar_s": bar,
        "delay_holds": p99 is not None and p99 < bar,
        "slope_bar_mb": SLOPE_MB,
        "memory_holds": sum(rows[one]["MB a minute, last two thirds"] or 0.0 for one in OURS if one in rows)
        < SLOPE_MB,
        "load_average": round(float(np.mean([each["load_average"] for each in looks])), 1),
        "cores": os.cpu_count(),
        "delays": told,
        "processes": rows,
        "disk_mb": late[-1]["disk_mb"],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def soak(engine: str, rate: int, minutes: float, out: Path) -> dict[str, Any]:
    """One soak on a stack of its own."""
    folder = Path(tempfile.mkdtemp(prefix="driftline-soak-"))
    stack = Stack(folder / "stack")
    place: Place | None = None
    try:
        stack.up(*PARTS[engine])
        here = [Record(REQUESTS, number, b"", 0) for number in range(PARTITIONS)]
        place = Place(stack, engine, "soak", here, folder / "run", KEEP)
        load = Load(stack.kafka, rate)
        now_ms = int(time.time() * 1_000)
        load.history(now_ms - 2_000)
        place.start(loaded=False)
        load.sent = 0
        looking = Looking(place.url, now_ms + 60_000)
        began = time.monotonic()
        load.start()
        looking.start()
        looks: list[dict[str, Any]] = []
        out.unlink(missing_ok=True)
        while time.monotonic() - began < minutes * 60:
            time.sleep(LOOK_EVERY_S)
            with suppress(psutil.Error):  # of a process that ended between two questions
                looks.append(look(place, stack, load, began))
            if not place.running:
                raise FaultError(f"the engine ended: {place.words()}")
            with out.open("a") as file:
                file.write(json.dumps(looks[-1]) + "\n")
            made = summary(engine, rate, looks, looking) | {"fell_behind_s": round(load.behind_s, 2)}
            out.with_suffix(".json").write_text(json.dumps(made, indent=1))
        load.over.set()
        load.join()
        looking.over.set()
        place.stop()
        made["accounts"] = place.report["accounts"][REQUESTS]
        out.with_suffix(".json").write_text(json.dumps(made, indent=1))
        return made
    finally:
        if place:
            place.kill()
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def looks_in(path: Path) -> Iterator[dict[str, Any]]:
    """What a soak has seen."""
    yield from map(json.loads, path.read_text().splitlines())


def plot(path: Path, image: Path) -> None:
    """Memory and load over time."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    looks = list(looks_in(path))
    minutes = [each["second"] / 60 for each in looks]
    figure, (memory, load) = plt.subplots(2, 1, figsize=(8, 6), sharex=True, height_ratios=[3, 1])
    for name in looks[-1]["mb"]:
        memory.plot(minutes, [each["mb"].get(name) for each in looks], label=name)
    memory.set_ylabel("memory, MB")
    memory.set_ylim(bottom=0)
    memory.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    memory.set_title("Resident memory of each process over the soak")
    load.plot(minutes, [each["load_average"] for each in looks], color="grey")
    load.set_ylabel("load average")
    load.set_xlabel("minutes")
    image.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(image, dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak and say how it went; 1 if a bar does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.soak", description=__doc__)
    parser.add_argument("--engine", default="faust", choices=tuple(PARTS))
    parser.add_argument("--rate", type=int, default=20_000, help="samples a second")
    parser.add_argument("--minutes", type=float, default=30.0)
    asked = parser.parse_args(arguments)
    SOAKS.mkdir(parents=True, exist_ok=True)
    made = soak(asked.engine, asked.rate, asked.minutes, SOAKS / f"{asked.engine}.jsonl")
    print(json.dumps(made, indent=1))
    return int(not (made["delay_holds"] and made["memory_holds"]))


if __name__ == "__main__":
    sys.exit(main())
