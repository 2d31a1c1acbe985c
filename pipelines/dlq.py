"""``driftline dlq list|replay``: what was refused and why, and sending it again once the cause is gone.

Dead letters are read from ``<topic>.dlq`` on Kafka or in a folder. What was sent again is marked in the same
place, by a record (or a line of ``replayed.jsonl``) that names its position, so that it is not sent twice;
a crash between the two can only make it come twice, which the id of a sample tells.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import structs

from operators.adapters.kafka import KafkaOptions, OutRecord, connect, connect_producer
from operators.adapters.source import SourceError
from operators.dead_letters import DeadLetter
from operators.intake import SourceRecord
from operators.sinks.dead_letters import REPLAYED, dlq_topic, letter_of_json, letter_of_record
from operators.store_errors import SinkError
from pipelines.brokers import reached
from pipelines.config import Config, kafka_servers
from pipelines.errors import UsageError
from schemas.topics import INPUT_TOPICS

_MARKS = "replayed.jsonl"
_POLL_S = 0.5


class Kept(NamedTuple):
    """One dead letter where it lies: ``place`` is ``partition/offset``, or ``file:line`` in a folder."""

    place: str
    time_ms: int | None
    letter: DeadLetter
    replayed: bool

    @property
    def sendable(self) -> bool:
        """Whether its bytes were kept and it was not sent again before."""
        return self.letter.value is not None and not self.replayed


def read(config: Config, address: str, topic: str) -> list[Kept]:
    """Every dead letter of a topic, oldest first within its partition or file.

    Raises:
        SourceError: the broker or the folder cannot be read.
        UsageError: no such topic is read.
    """
    if topic not in INPUT_TOPICS:
        raise UsageError(f"{topic} is no topic that driftline reads; one of {', '.join(INPUT_TOPICS)}")
    if kafka_servers(address):
        return _of_kafka(reached(config, address), config.kafka.client, dlq_topic(topic))
    return _of_folder(Path(address) / dlq_topic(topic))


def chosen(held: Sequence[Kept], reason: str | None, since_ms: int | None) -> list[Kept]:
    """Those of a reason, and since a time; raises `UsageError` where times are not known."""
    if since_ms is not None and any(each.time_ms is None for each in held):
        raise UsageError("--since: dead letters in a folder have no time")
    return [
        each
        for each in held
        if reason in (None, each.letter.reason) and (since_ms is None or (each.time_ms or 0) >= since_ms)
    ]


def summary(held: Sequence[Kept]) -> dict[str, dict[str, int]]:
    """By reason: how many there are, of how many the bytes were kept, and how many were sent again."""
    counts = Counter(each.letter.reason for each in held)
    kept = Counter(each.letter.reason for each in held if each.letter.value is not None)
    again = Counter(each.letter.reason for each in held if each.replayed)
    return {
        reason: {"count": count, "kept": kept[reason], "replayed": again[reason]}
        for reason, count in sorted(counts.items())
    }


def replay(config: Config, address: str, target: str, topic: str, held: Sequence[Kept]) -> int:
    """Send what is sendable to its topic again, then mark it; gives how many.

    Raises:
        SinkError: not all of it arrived; what did not is not marked.
    """
    wanted = [each for each in held if each.sendable]
    if not wanted:
        return 0
    values = [(each.place, each.letter.value or b"") for each in wanted]
    places = [each.place for each in wanted]
    if kafka_servers(target):
        _send(config, target, [_again(topic, place, value) for place, value in values])
    else:
        _append(Path(target) / topic / f"replay-{dlq_topic(topic)}.ndjson", [value for _, value in values])
    if kafka_servers(address):
        marks = [OutRecord(dlq_topic(topic), None, [(REPLAYED, place.encode())], b"") for place in places]
        _send(config, address, marks)
    else:
        _append(Path(address) / dlq_topic(topic) / _MARKS, [msgspec.json.encode(place) for place in places])
    return len(wanted)


def _again(topic: str, place: str, value: bytes) -> OutRecord:
    return OutRecord(topic, None, [(REPLAYED, f"{dlq_topic(topic)}/{place}".encode())], value)


def _send(config: Config, address: str, records: Sequence[OutRecord]) -> None:
    options = structs.replace(reached(config, address), timeout_s=60.0)
    producer = connect_producer(config.kafka.client, options)
    try:
        if failed := producer.deliver(records):
            why = failed[min(failed)]
            raise SinkError(f"{address}: {len(failed)} of {len(records)} records not taken: {why}")
    finally:
        producer.close()


def _append(path: Path, lines: Sequence[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(b" ".join(line.splitlines()) + b"\n" for line in lines))


def _of_kafka(options: KafkaOptions, library: str, topic: str) -> list[Kept]:
    client = connect(library, options)
    try:
        places = client.partitions([topic])
        ends = client.ends(places)
        client.assign(dict.fromkeys(places, 0))
        records: list[SourceRecord] = []
        while any(client.position(place) < ends[place] for place in places):
            for found in client.poll((), _POLL_S).values():
                records += found
    finally:
        client.close()
    marked = {value.decode() for record in records for name, value in record.headers if name == REPLAYED}
    held = []
    for record in records:
        headers = dict(record.headers)
        if REPLAYED in headers:
            continue
        place = f"{record.partition.rpartition('/')[2]}/{record.offset}"
        try:
            letter = letter_of_record(headers, record.value)
        except ValueError as problem:
            raise SourceError(f"{topic} {place}: {problem}") from None
        held.append(Kept(place, record.broker_time_ms, letter, place in marked))
    return sorted(held, key=lambda each: [int(part) for part in each.place.split("/")])


def _of_folder(folder: Path) -> list[Kept]:
    marks = folder / _MARKS
    marked = set(map(msgspec.json.decode, marks.read_bytes().splitlines())) if marks.exists() else set()
    return [Kept(place, None, letter, place in marked) for place, letter in _lines(folder)]


def _lines(folder: Path) -> Iterator[tuple[str, DeadLetter]]:
    for path in sorted(folder.glob("*.ndjson")):
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            place = f"{path.name}:{number}"
            try:
                yield place, letter_of_json(line)
            except (ValueError, msgspec.DecodeError) as problem:
                raise SourceError(f"{folder} {place}: {problem}") from None
