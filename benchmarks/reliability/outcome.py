"""What came of a run, however it ran, and how two of them differ."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from benchmarks.reliability.recorded import Record
from benchmarks.reliability.topics import ends
from operators.clickhouse import Store
from operators.settings import Settings, Windows
from pipelines.config import Config
from pipelines.engines.job import Job
from pipelines.engines.report import by_outcome
from pipelines.run import start
from schemas.rows import Count

#: How long a partition that brings nothing holds back the time of all.
IDLE_S = Windows().idle_s
Key = tuple[str, int, str]
#: Headers and value.
Message = tuple[list[tuple[str, bytes]], bytes]
#: Tables whose rows have no second version: raw, they are as many as by key.
TABLES = ("signal_buckets", "anomaly_windows", "change_revisions")
_EVENTS = "SELECT toString(event_id) AS e, revision AS r, toString(status) AS s FROM anomaly_events"
#: Revisions are versions of one row, and an insert keeps the last it holds: none may lie there twice.
_DOUBLED = "(SELECT 1 FROM anomaly_events GROUP BY event_id, revision HAVING count() > 1)"
_ACCOUNTS = """
SELECT topic, outcome, reason, toInt64(sum(n)) AS n FROM (
    SELECT topic, outcome, reason, argMax(samples, revision) AS n
    FROM ingest_accounts WHERE topic != '' GROUP BY run_id, topic, outcome, reason
) GROUP BY ALL HAVING n != 0 ORDER BY ALL
"""


@dataclass
class Outcome:
    """Revisions published and last ones stored, rows raw and by key, refusals, incidents, accounts.

    ``kept``: what dead letters hold of refused samples. ``accounts`` are those of the last report; ``counts``
    those of all runs together, by reason.
    """

    published: Counter[Key]
    last: set[Key]
    raw: dict[str, int]
    final: dict[str, Any]
    dead: Counter[tuple[Any, ...]]
    kept: list[bytes]
    accounts: dict[str, dict[str, int]]
    counts: list[Count]
    events: list[dict[str, Any]]
    incidents: list[dict[str, Any]]

    @property
    def stored(self) -> dict[str, dict[str, int]]:
        """``counts`` by topic and outcome."""
        return by_outcome(self.counts)


def of_files(records: Iterable[Record], folder: Path, engine: str = "local", idle_s: int = IDLE_S) -> Outcome:
    """What an engine in this process makes of the records, undisturbed, from files.

    ``idle_s`` changes nothing of that but the settings' hash, which events carry.
    """
    queues: dict[Path, list[bytes]] = {}
    for record in records:
        path = folder / "in" / record.topic / str(record.partition)
        queues.setdefault(path, []).append(record.value)
    for path, values in queues.items():
        path.mkdir(parents=True)
        (path / "part.ndjson").write_bytes(b"".join(value + b"\n" for value in values))
    config = Config(
        input=str(folder / "in"),
        output=str(folder / "out"),
        clickhouse=f"chdb:{folder / 'db'}",
        engine=engine,
        settings=Settings(windows=Windows(idle_s=idle_s)),
    )
    report = start(Job(config, until_end=True))

    def lines(pattern: str) -> list[Any]:
        paths = (folder / "out").glob(pattern)
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    events = [line["data"] for line in lines("anomalies.v1/*.ndjson")]
    letters = lines("*.dlq/*.ndjson")
    dead = Counter((letter["partition"], int(letter["offset"]), letter["reason"]) for letter in letters)
    kept = [json.dumps(letter["value"]).encode() for letter in letters]
    return _outcome(config.clickhouse, events, dead, kept, report.accounts)


def of_kafka(servers: str, url: str, topics: Sequence[str], accounts: dict[str, Any]) -> Outcome:
    """What lies in the topics and the store."""
    letters = [(f"{topic}.dlq", 0) for topic in topics]
    lies = read(servers, [("anomalies.v1", 0), *letters])
    events = [json.loads(value) for _, value in lies["anomalies.v1", 0]]
    dead: Counter[tuple[Any, ...]] = Counter()
    kept = []
    for headers, value in chain.from_iterable(lies[place] for place in letters):
        told = {name.removeprefix("driftline_"): value.decode() for name, value in headers}
        dead[told["partition"], int(told["offset"]), told["reason"]] += 1
        kept.append(value or b"")
    return _outcome(url, events, dead, kept, accounts)


def _outcome(
    url: str,
    events: list[Any],
    dead: Counter[tuple[Any, ...]],
    kept: list[bytes],
    accounts: dict[str, Any],
) -> Outcome:
    with Store.open(url) as store:

        def count(what: str) -> int:
            return int(store.query(f"SELECT count() AS n FROM {what}")["n"][0].as_py())

        def latest(table: str) -> list[dict[str, Any]]:
            found = store.query(f"SELECT * EXCEPT ingested_at FROM {table} FINAL ORDER BY 1")
            return list(found.to_pylist())

        last = {(row["e"], row["r"], row["s"]) for row in store.query(f"{_EVENTS} FINAL").to_pylist()}
        return Outcome(
            published=Counter((event["event_id"], event["revision"], event["status"]) for event in events),
            last=last,
            raw={table: count(table) for table in TABLES} | {"anomaly_events": count(_DOUBLED)},
            final={
                table: store.query(f"SELECT * EXCEPT ingested_at FROM {table} FINAL ORDER BY ALL")
                for table in TABLES
            },
            dead=dead,
            kept=kept,
            accounts=accounts,
            counts=[Count(*row.values()) for row in store.query(_ACCOUNTS).to_pylist()],
            events=latest("anomaly_events"),
            incidents=latest("incidents"),
        )


def differences(found: Outcome, wanted: Outcome) -> list[str]:
    """In words, each thing that is not as in the undisturbed run; none: equal."""
    said = []
    for name in ("published", "last", "dead"):
        ours, theirs = set(getattr(found, name)), set(getattr(wanted, name))
        lost, more = theirs - ours, ours - theirs
        if lost or more:
            said.append(f"{name}: {len(lost)} lost, {len(more)} too many, such as {sorted(lost | more)[0]}")
    for table in TABLES:
        if not found.final[table].equals(wanted.final[table]):
            rows, wanted_rows = found.final[table].to_pylist(), wanted.final[table].to_pylist()
            pairs = ((a, b) for a, b in zip(rows, wanted_rows, strict=False) if a != b)
            cells = [f"{k} {v} for {b[k]}" for a, b in pairs for k, v in a.items() if v != b[k]]
            said.append(f"{table} FINAL: {len(rows)} rows for {len(wanted_rows)}; {', '.join(cells[:3])}")
    for table, rows in wanted.raw.items():
        if found.raw[table] != rows:
            said.append(f"{table} raw: {found.raw[table]} for {rows}")
    return said


def read(servers: str, partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], list[Message]]:
    """Everything that lies in partitions of topics, once the last transaction of each is settled.

    Whoever commits one is told before the broker has marked its end, up to where alone the committed is read.
    """
    words: dict[str, Any] = {"bootstrap.servers": servers, "group.id": "reads-alone"}
    words |= {"enable.auto.commit": False, "isolation.level": "read_committed"}
    words |= {"enable.partition.eof": True, "fetch.wait.max.ms": 10}
    left = ends(servers, partitions)
    found: dict[tuple[str, int], list[Message]] = {place: [] for place in partitions}
    consumer = Consumer(words)
    try:
        consumer.assign([TopicPartition(*place, 0) for place in partitions])
        while left:
            record = consumer.poll(1.0)
            if record is None:
                continue
            place = record.topic(), record.partition()
            if record.error() is None:
                found[place].append((record.headers() or [], record.value()))
            elif record.error().name() == "_PARTITION_EOF" and record.offset() >= left.get(place, 0):
                left.pop(place, None)
    finally:
        consumer.close()
    return found


def lag(servers: str, group: str, partitions: Counter[str]) -> dict[str, int]:
    """Records between the group's committed offsets and the end, where there are any."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    try:
        places = [TopicPartition(topic, n) for topic, count in partitions.items() for n in range(count)]
        behind = {}
        for place in consumer.committed(places, timeout=60):
            _, end = consumer.get_watermark_offsets(TopicPartition(place.topic, place.partition), timeout=60)
            if end != max(0, place.offset):
                behind[f"{place.topic}/{place.partition}"] = end - max(0, place.offset)
        return behind
    finally:
        consumer.close()
