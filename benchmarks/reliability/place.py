"""Where one run happens: fresh topics, a fresh database, an engine in its own processes, and who feeds it."""

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from benchmarks.reliability.commanded import Command
from benchmarks.reliability.outcome import IDLE_S, Outcome, lag, of_kafka, read
from benchmarks.reliability.recorded import Record
from benchmarks.reliability.topics import FOREVER, PATIENCE_S, recreate
from operators.clickhouse import Store, StoreError
from pipelines.stack import Stack

OUTPUTS = ("anomalies.v1", "incidents.v1")
PARTS = {
    "local": ("kafka", "clickhouse"),
    "faust": ("kafka", "clickhouse"),
    "flink": ("kafka", "clickhouse", "flink"),
}


class FaultError(Exception):
    """A run did not come to what it was to come to."""


class Place:
    """One run of one engine on a running stack."""

    def __init__(
        self,
        stack: Stack,
        engine: str,
        name: str,
        records: Sequence[Record],
        folder: Path,
        keep: Mapping[str, str] = FOREVER,
        idle_s: int = IDLE_S,
    ) -> None:
        folder.mkdir(parents=True)
        self.stack, self.engine, self.name, self.folder = stack, engine, name, folder
        self.partitions = Counter(
            {t: 1 + max(r.partition for r in records if r.topic == t) for t in {r.topic for r in records}}
        )
        self.url = f"{stack.clickhouse.rpartition('/')[0]}/{name}"
        letters = dict.fromkeys([*OUTPUTS, *(f"{topic}.dlq" for topic in self.partitions)], 1)
        recreate(stack.kafka, self.partitions | letters, keep)
        self.environment: dict[str, str] = {}
        self.process: Command | None = None
        self.report: dict[str, Any] = {}
        self.runs = 0
        self._feeds: list[Feed] = []
        self._store: Store | None = None
        self.file = folder / "config.json"  # JSON is YAML
        config: dict[str, Any] = {
            "input": f"kafka://{stack.kafka}",
            "output": f"kafka://{stack.kafka}",
            "clickhouse": self.url,
            "windows": {"idle": f"{idle_s}s"},
            "kafka": {"group": name, "client": "confluent-kafka", "topics": sorted(self.partitions)},
        }
        if engine == "local":
            config["state"] = str(folder / "state")
        self.file.write_text(json.dumps(config))

    def start(self, *options: str, until_end: bool = False, loaded: bool = True) -> None:
        """``driftline run`` in a process of its own; with its modules loaded before, or from nothing."""
        self.runs += 1
        command = ["run", "--config", str(self.file), "--json"]
        command += ["--engine", "beam" if self.engine == "flink" else self.engine]
        command += ["--until-end"] if until_end else []
        if self.engine == "flink":
            flink = (*self.stack.flink_options(), "--parallelism=2", "--checkpointing_interval=1000")
            command += ["--runner", "flink", "--", *flink, *options]
        self.process = Command(
            command,
            self.log.with_suffix(".json"),
            self.log,
            {"OMP_NUM_THREADS": "1"} | self.environment,
            loaded=loaded,
        )

    @property
    def log(self) -> Path:
        """What the present run says."""
        return self.folder / f"run-{self.runs}.log"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.code is None

    def kill(self) -> None:
        """``kill -9`` the engine's own process."""
        if self.process:
            self.process.kill()

    def end(self) -> dict[str, Any]:
        """Wait for the process; its report. `FaultError` with its last words if it failed."""
        assert self.process is not None
        code = self.process.wait(PATIENCE_S)
        if code is None:
            self.kill()
            raise FaultError(f"run {self.runs} does not end: {self.words()}")
        if code:
            raise FaultError(f"run {self.runs} ended with {code}: {self.words()}")
        self.report = json.loads(self.log.with_suffix(".json").read_bytes())
        return self.report

    def words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1][:300] if lines else "nothing said"

    def stop(self) -> tuple[str, ...]:
        """SIGTERM, as an operator would; the options with which the next run goes on."""
        assert self.process is not None
        self.process.signal(signal.SIGTERM)
        report = self.end()
        if self.engine == "flink":
            if not report["savepoint"]:
                raise FaultError("stopped without a savepoint")
            return (f"--savepoint_path={report['savepoint']}",)
        return ()

    def finish(self) -> Outcome:
        """Stop, go on to the end of what is there, and see what came of all of it."""
        options = self.stop() if self.running else ()
        self.start(*options, until_end=True)
        report = self.end()
        return of_kafka(self.stack.kafka, self.url, sorted(self.partitions), report["accounts"])

    def lag(self) -> dict[str, int]:
        """What the group has not committed; offsets of the last checkpoint may come a moment later."""
        until = time.monotonic() + PATIENCE_S
        while (behind := lag(self.stack.kafka, self.name, self.partitions)) and time.monotonic() < until:
            time.sleep(0.5)
        return behind

    def fed(self) -> list[Record]:
        """What lies in the input's topics: the client that feeds may send a record twice or give it up.

        Raises:
            FaultError: a record that the broker took is not there.
        """
        places = [(topic, number) for topic, count in self.partitions.items() for number in range(count)]
        found = [
            Record(*place, value, 0)
            for place, messages in read(self.stack.kafka, places).items()
            for _, value in messages
        ]
        taken = sum(feed.sent - feed.given_up for feed in self._feeds)
        if len(found) < taken:
            raise FaultError(f"{len(found)} records in the topics, of which the broker took {taken}")
        return found

    def reached(self) -> int:
        """Start of the newest bucket in the store, Unix ms; 0 while there is none, or nobody to ask."""
        try:
            self._store = self._store or Store.open(self.url)  # opened each time it would be load of its own
            sql = "SELECT toUnixTimestamp64Milli(max(bucket_start)) AS n FROM signal_buckets"
            return int(self._store.query(sql)["n"][0].as_py() or 0)
        except StoreError:
            self._let_go()
            return 0

    def _let_go(self) -> None:
        if self._store:
            self._store.close()
            self._store = None

    def wait_until(self, done: Callable[[], Any], what: str) -> float:
        """Wait for it; seconds waited."""
        began = time.monotonic()
        while not done():
            if not self.running:
                raise FaultError(f"{what}: the run ended: {self.words()}")
            if time.monotonic() - began > PATIENCE_S:
                raise FaultError(f"{what}: not within {PATIENCE_S} s: {self.words()}")
            time.sleep(0.2)
        return time.monotonic() - began

    def feed(self, records: Sequence[Record], over_s: float) -> "Feed":
        """Begin to send records, for as long as this run lasts."""
        feed = Feed(self.stack.kafka, records, over_s)
        self._feeds.append(feed)
        feed.start()
        return feed

    def close(self) -> None:
        """Leave nothing behind."""
        for feed in self._feeds:
            feed.end()
        self.kill()
        self._let_go()
        with Store.open(self.stack.clickhouse) as store:
            store.command(f"DROP DATABASE IF EXISTS {self.name}")


class Feed(threading.Thread):
    """Sends records spread over some seconds, through whatever becomes of the broker meanwhile."""

    def __init__(self, servers: str, records: Sequence[Record], over_s: float) -> None:
        super().__init__(daemon=True)
        self._servers, self._records, self._over_s = servers, records, over_s
        self.sent = 0
        self._over = threading.Event()
        self.time_ms = self.given_up = 0
        self.refusal = ""
        self.failure = "it ended early"

    def run(self) -> None:
        """Send all."""
        words = {"bootstrap.servers": self._servers, "enable.idempotence": True, "linger.ms": 5}
        words |= {"message.timeout.ms": PATIENCE_S * 1000, "reconnect.backoff.max.ms": 1_000, "log_level": 0}
        producer = Producer(words)
        began = time.monotonic()
        for index, record in enumerate(self._records):
            producer.produce(
                record.topic,
                record.value,
                partition=record.partition,
                timestamp=record.time_ms,
                on_delivery=self._told,
            )
            self.sent += 1
            self.time_ms = max(self.time_ms, record.time_ms)
            due = began + self._over_s * index / len(self._records)
            if index % 20 == 0 and due > time.monotonic():
                producer.flush(0.01)
                self._over.wait(max(0.0, due - time.monotonic()))
            if self._over.is_set():
                break
        until = time.monotonic() + PATIENCE_S
        while (left := producer.flush(0.5)) and time.monotonic() < until and not self._over.is_set():
            pass
        producer.purge()
        self.failure = f"{left} records could not be sent" if left else ""

    def _told(self, error: Any, _: object) -> None:
        if error is not None:
            self.given_up += 1
            self.refusal = self.refusal or str(error)

    def end(self) -> None:
        """Send no more."""
        self._over.set()
        self.join()

    def done(self, disturbed: bool = True) -> None:
        """Wait until all is sent; what a broker that was not ``disturbed`` refuses is an error."""
        self.join()
        if self.given_up and not disturbed:
            raise FaultError(f"feeding: {self.given_up} records refused: {self.refusal}")
        if self.failure:
            raise FaultError(f"feeding: {self.failure}")
