"""What tests ask of the real broker beside driftline's own clients."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Producer
from kafka import KafkaAdminClient

from benchmarks.reliability.topics import FOREVER, PATIENCE_S, make

#: A machine that is slow to start a worker leaves all partitions silent for longer than makes them idle; then
#: what is read first would go ahead of the rest, and the rest be late.
NEVER_IDLE_S = 86_400
Headers = list[tuple[str, bytes]]


def make_topic(
    servers: str, name: str = "", partitions: int = 1, config: Mapping[str, str] | None = None
) -> str:
    """A topic of a name that nobody else has; with a name given, of just that."""
    topic = name or f"topic-{uuid.uuid4().hex[:12]}"
    make(servers, {topic: partitions}, FOREVER | dict(config or {}))
    return topic


def with_admin(servers: str, ask: Callable[[KafkaAdminClient], Any]) -> Any:
    """What the admin client answers."""
    admin = KafkaAdminClient(bootstrap_servers=servers.split(","))
    try:
        return ask(admin)
    finally:
        admin.close()


def send(
    servers: str,
    topic: str,
    values: Iterable[bytes],
    partition: int = 0,
    key: bytes | None = None,
    headers: Headers | None = None,
    time_ms: int = 1_767_571_200_000,
) -> None:
    """Records into one partition."""
    words = {"message.max.bytes": 17 << 20, "linger.ms": 5, "message.timeout.ms": PATIENCE_S * 1000}
    producer = Producer({"bootstrap.servers": servers, **words})
    for value in values:
        while True:
            try:
                producer.produce(topic, value, key, partition, timestamp=time_ms, headers=headers or [])
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(PATIENCE_S) == 0


@contextmanager
def transaction(servers: str, topic: str, values: Iterable[bytes], *, commit: bool) -> Iterator[None]:
    """Records of a transaction, open meanwhile; its end is a control record that no reader is shown."""
    words = {"transactional.id": uuid.uuid4().hex, "transaction.timeout.ms": PATIENCE_S * 1000}
    producer = Producer({"bootstrap.servers": servers, **words})
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(PATIENCE_S) == 0
    try:
        yield
    finally:
        (producer.commit_transaction if commit else producer.abort_transaction)(PATIENCE_S)


def until(done: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Wait for something to come true."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := done():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {within_s:.0f} s")
