"""A task's state in a compacted topic, written in transactions that only the task's one owner can commit.

A task is one source partition or one shard. Its transactional id is made of its name: Kafka itself fences off
an owner that lost the task and does not know it yet, and ends the transaction it left open. What is committed
together is seen together: the messages a delivery gave, the mark of how far they go, and now and then the
whole state, cut into records that every broker takes.
"""

import asyncio
import os
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct, msgpack

from operators.settings import Detection, LifecycleSettings, Settings
from schemas.plans import prepare

#: Of one record of a state: below the megabyte that brokers take unless told otherwise.
PART_BYTES = 900_000
#: Of one message to a shard, and of the topic that carries them: the largest record that is read, and room.
MESSAGE_BYTES = 32 * 2**20
#: A task writes its whole state this often; in between its mark alone.
SNAPSHOT_S = 30.0
#: After this long Kafka gives up a transaction whose owner is gone and nobody took over.
TRANSACTION_MS = 10_000
#: How long the journal may take to be read.
READ_S = 60.0
#: How long a producer whose broker is away may take to leave.
CLOSE_S = 5.0

Headers = list[tuple[str, bytes]]
T = TypeVar("T")


class Saved(Struct, frozen=True):
    """What a journal holds of its task: the last mark, and the last whole state."""

    mark: bytes
    state: bytes


class _Mark(Struct, frozen=True):
    parts: int
    mark: bytes


prepare(_Mark)


class JournalError(Exception):
    """A journal that no retry can read: it was cut, or another version or layout wrote it."""


class Journal:
    """The journal of one task.

    Args:
        how: how the broker is reached, in aiokafka's words.
        topic: the changelog.
        partition: of the changelog; tasks may share one.
        task: name of the task, unique within the changelog.
    """

    def __init__(self, how: dict[str, Any], topic: str, partition: int, task: str) -> None:
        self._how = how
        self._place = TopicPartition(topic, partition)
        self._task = task
        self._parts = 0
        self._open = False
        self._sent: list[asyncio.Future[Any]] = []
        self._producer = AIOKafkaProducer(
            transactional_id=f"{topic}/{task}",
            transaction_timeout_ms=TRANSACTION_MS,
            max_request_size=MESSAGE_BYTES,
            **how,
        )

    async def open(self) -> Saved | None:
        """Fence off any other owner, and read what was committed last; None for a new task."""
        await self._producer.start()
        token = os.urandom(16)
        await self._begin()
        await self._put("claim", token)
        await self._end()
        found = await self._read(token)
        if "mark" not in found:
            return None
        mark = msgpack.decode(found["mark"], type=_Mark)
        self._parts = mark.parts
        try:
            state = b"".join(found[f"state/{number}"] for number in range(mark.parts))
        except KeyError as part:
            raise JournalError(f"{self._place.topic}: {self._task} lacks {part}") from None
        return Saved(mark.mark, state)

    async def send(self, topic: str, partition: int, value: bytes, headers: Headers) -> None:
        """Send within the open transaction, which this may begin."""
        await self._begin()
        self._sent.append(await self._producer.send(topic, value, partition=partition, headers=headers))

    async def commit(self, mark: bytes, state: bytes | None = None) -> None:
        """Commit what was sent, the mark, and the whole state where it is given."""
        await self._begin()
        if state is not None:
            parts = [state[at : at + PART_BYTES] for at in range(0, len(state), PART_BYTES)]
            for number, part in enumerate(parts):
                await self._put(f"state/{number}", part)
            for number in range(len(parts), self._parts):
                await self._put(f"state/{number}", None)
            self._parts = len(parts)
        await self._put("mark", msgpack.encode(_Mark(self._parts, mark)))
        await self._end()

    async def close(self) -> None:
        """Leave; what was not committed is given up."""
        for future in self._sent:
            future.cancel()
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._producer.stop()

    async def _begin(self) -> None:
        if not self._open:
            await self._producer.begin_transaction()
            self._open = True

    async def _put(self, name: str, value: bytes | None) -> None:
        key = f"{self._task}\n{name}".encode()
        sent = await self._producer.send(self._place.topic, value, key=key, partition=self._place.partition)
        self._sent.append(sent)

    async def _end(self) -> None:
        await asyncio.gather(*self._sent)
        self._sent.clear()
        await self._producer.commit_transaction()
        self._open = False

    async def _read(self, token: bytes) -> dict[str, bytes]:
        """Everything committed of this task, up to its own claim."""
        consumer = AIOKafkaConsumer(
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=8 * 2**20,
            **self._how,
        )
        await consumer.start()
        try:
            consumer.assign([self._place])
            await consumer.seek_to_beginning(self._place)
            async with asyncio.timeout(READ_S):
                return await self._gather(consumer, token)
        except TimeoutError:
            # a broker that is away by now; the stage opens again
            raise TimeoutError(f"{self._place.topic} could not be read in {READ_S:.0f} s") from None
        finally:
            await consumer.stop()

    async def _gather(self, consumer: Any, token: bytes) -> dict[str, bytes]:
        own = f"{self._task}\n".encode()
        found: dict[str, bytes] = {}
        while True:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    if not record.key.startswith(own):
                        continue
                    name = record.key[len(own) :].decode()
                    if name == "claim" and record.value == token:
                        return found
                    if record.value is None:
                        found.pop(name, None)
                    else:
                        found[name] = record.value


def layout(settings: Settings) -> str:
    """Hash of the settings that a state's form depends on; detection may be set otherwise at any start."""
    return msgspec.structs.replace(
        settings, detection=Detection(), lifecycle=LifecycleSettings()
    ).config_hash()


def check_layout(found: str, settings: Settings, group: str) -> None:
    """Refuse a journal that was written under another layout; raises `JournalError`."""
    if found != layout(settings):
        raise JournalError(
            f"kafka.group {group} was begun with other shards, windows, slices or embedding settings: go on "
            "with those, or start anew under another kafka.group"
        )


def decode(data: bytes, type: type[T]) -> T:
    """Bytes of a mark or state; `JournalError` where they are none."""
    try:
        return msgpack.decode(data, type=type)
    except msgspec.MsgspecError as problem:
        raise JournalError(f"a journal that this version cannot read: {problem}") from None
