"""aiokafka behind the client seam: its event loop runs in a thread of its own, so fetches go on meanwhile."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as Handle
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from operators.adapters.kafka.client import OutRecord, TopicPartition
from operators.adapters.kafka.heard import heard, reason
from operators.adapters.kafka.held import Held
from operators.adapters.kafka.options import MAX_RECORD_BYTES, KafkaOptions
from operators.adapters.kafka.records import source_records
from operators.adapters.source import SourceError
from operators.intake import SourceRecord
from operators.store_errors import SinkError

T = TypeVar("T")
_AGAIN_S = 0.2


def settings(options: KafkaOptions) -> dict[str, Any]:
    """How the broker is reached, in aiokafka's words."""
    given: dict[str, Any] = {
        "bootstrap_servers": options.servers,
        "security_protocol": options.security_protocol,
        "sasl_mechanism": options.sasl_mechanism,
        "sasl_plain_username": options.username,
        "sasl_plain_password": options.password,
    }
    if options.security_protocol.endswith("SSL"):
        given["ssl_context"] = ssl.create_default_context(cafile=options.ssl_ca_file)
        if options.ssl_cert_file:
            given["ssl_context"].load_cert_chain(options.ssl_cert_file, options.ssl_key_file)
    return {name: value for name, value in given.items() if value is not None}


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="aiokafka", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """The result of some work; `TimeoutError` where it takes longer."""
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout_s), self._loop).result()

    def connect(
        self,
        opened: Callable[[dict[str, Any]], Coroutine[Any, Any, T]],
        options: KafkaOptions,
        error: type[Exception],
    ) -> T:
        """What is opened with the options in aiokafka's words; or ``error``, and an end of this loop."""
        try:
            with heard("aiokafka") as said:
                return self.run(opened(settings(options)))
        except (KafkaError, OSError) as problem:
            self.close()
            where = f"kafka://{options.servers}"
            raise error(f"{where} cannot be reached: {reason(problem)}{said.why}") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    """End what a client that had to be given up left behind."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=1)


async def started(make: Any, timeout_s: float) -> Any:
    """A started client; asked again while nobody answers, as the library itself tries once."""
    until = time.monotonic() + timeout_s
    while True:
        made = make()
        try:
            await asyncio.wait_for(made.start(), max(0.1, until - time.monotonic()))
        except BaseException as problem:
            await (made.close() if isinstance(made, AIOKafkaAdminClient) else made.stop())
            if not isinstance(problem, KafkaConnectionError) or time.monotonic() + _AGAIN_S > until:
                raise
            await asyncio.sleep(_AGAIN_S)
        else:
            return made


class Client:
    """One `AIOKafkaConsumer` with partitions assigned by hand."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self.begun = False
        self._held = Held(options.max_poll_records)
        self._fetched: dict[TopicPartition, int] = {}  # offsets behind what is held
        self._loop = _Loop()
        self._consumer, self._admin = self._loop.connect(self._open, options, SourceError)

    async def _open(self, how: dict[str, Any]) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        consumer = await started(
            lambda: AIOKafkaConsumer(
                group_id=self._options.group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                **how,
            ),
            self._options.bootstrap_timeout_s,
        )
        try:
            return consumer, await started(
                lambda: AIOKafkaAdminClient(**how), self._options.bootstrap_timeout_s
            )
        except BaseException:
            await consumer.stop()
            raise

    def partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        """The partitions of those topics that exist."""
        # of the consumer only subscribed topics can be asked
        known = self._ask("list topics", self._admin.describe_topics())
        numbers = {
            each["topic"]: sorted(partition["partition"] for partition in each["partitions"])
            for each in known
        }
        return [(topic, number) for topic in topics for number in numbers.get(topic, ())]

    def assign(self, positions: Mapping[TopicPartition, int | None]) -> None:
        """Read these partitions from these offsets."""
        self._fetched = self._ask("read offsets", self._assign(positions))
        self._held.clear()

    async def _assign(self, positions: Mapping[TopicPartition, int | None]) -> dict[TopicPartition, int]:
        consumer = self._consumer
        found = {place: offset for place, offset in positions.items() if offset is not None}
        for place in positions.keys() - found.keys():
            if (offset := await consumer.committed(Handle(*place))) is not None:
                found[place] = offset
        if rest := [Handle(*place) for place in positions if place not in found]:
            earliest = self._options.start == "earliest"
            asked = await (consumer.beginning_offsets(rest) if earliest else consumer.end_offsets(rest))
            found |= {(handle.topic, handle.partition): offset for handle, offset in asked.items()}
        consumer.assign([Handle(*place) for place in positions])
        for place, offset in found.items():
            consumer.seek(Handle(*place), offset)
        return found

    def poll(
        self, paused: Sequence[TopicPartition], timeout_s: float
    ) -> dict[TopicPartition, list[SourceRecord]]:
        """Records of the partitions that are not paused."""
        waiting = set(paused)
        if found := self._held.take(waiting):
            return found
        ready = [Handle(*place) for place in self._fetched if place not in waiting]
        if not ready:
            time.sleep(timeout_s)
            return {}
        try:
            fetched, self._fetched = self._loop.run(self._poll(ready, timeout_s))
        except KafkaError as problem:
            raise self._refused("fetch", problem) from None
        for handle, records in fetched.items():
            place = (handle.topic, handle.partition)
            self._held.put(place, source_records(*place, records))
        return self._held.take(waiting)

    async def _poll(self, ready: list[Handle], timeout_s: float) -> tuple[Any, dict[TopicPartition, int]]:
        consumer = self._consumer
        found = await consumer.getmany(*ready, timeout_ms=int(timeout_s * 1000))
        # a partition whose log was cut off at its start has none while it asks where that is now
        known = {
            place: offset
            for place in self._fetched
            if (offset := await _position(consumer, Handle(*place))) is not None
        }
        return found, self._fetched | known

    def position(self, partition: TopicPartition) -> int:
        """The next offset that will be read."""
        held = self._held.first(partition)
        return self._fetched[partition] if held is None else held

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the last record of each."""
        asked = [Handle(*place) for place in partitions]
        found = self._ask("read end offsets", self._consumer.end_offsets(asked))
        return {(handle.topic, handle.partition): offset for handle, offset in found.items()}

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit these next offsets for the group."""
        offsets = {Handle(*place): offset for place, offset in positions.items()}
        self._ask("commit", self._consumer.commit(offsets))

    def close(self) -> None:
        """Leave the broker."""
        try:
            # while the broker is away the library cancels what it waits for itself
            for leave in (self._consumer.stop, self._admin.close):
                with suppress(KafkaError, TimeoutError, CancelledError):
                    self._loop.run(leave(), self._options.timeout_s)
        finally:
            self._loop.close()

    def _ask(self, what: str, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run(work, self._options.patience_s(begun=self.begun))
        except (KafkaError, TimeoutError) as problem:
            raise self._refused(what, problem) from None

    def _refused(self, what: str, problem: Exception) -> SourceError:
        return SourceError(f"kafka://{self._options.servers} refuses to {what}: {reason(problem)}")


async def _position(consumer: AIOKafkaConsumer, handle: Handle) -> int | None:
    try:
        return int(await asyncio.wait_for(consumer.position(handle), 0.01))
    except (KafkaError, TimeoutError):
        return None


class Producer:
    """One `AIOKafkaProducer`."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._loop = _Loop()
        self._producer = self._loop.connect(self._open, options, SinkError)

    async def _open(self, how: dict[str, Any]) -> AIOKafkaProducer:
        return await started(
            lambda: AIOKafkaProducer(
                acks="all",
                enable_idempotence=True,
                compression_type="gzip",
                linger_ms=5,
                max_batch_size=2**18,
                max_request_size=MAX_RECORD_BYTES,
                request_timeout_ms=int(self._options.timeout_s * 1000),
                **how,
            ),
            min(self._options.bootstrap_timeout_s, self._options.timeout_s),
        )

    def deliver(self, records: Sequence[OutRecord]) -> dict[int, str]:
        """Send and wait."""
        return self._loop.run(self._deliver(records))

    async def _deliver(self, records: Sequence[OutRecord]) -> dict[int, str]:
        # the library itself never gives up on what it sends with idempotence
        until = time.monotonic() + self._options.timeout_s
        failed: dict[int, str] = {}
        sent: dict[int, asyncio.Future[Any]] = {}
        for index, record in enumerate(records):
            one = self._producer.send(
                record.topic,
                record.value,
                key=record.key,
                headers=record.headers,
                partition=record.partition,
            )
            try:
                sent[index] = await asyncio.wait_for(one, max(0.0, until - time.monotonic()))
            except (KafkaTimeoutError, KafkaConnectionError, TimeoutError) as problem:
                # nobody answers: each of the others would wait as long
                failed |= dict.fromkeys(range(index, len(records)), reason(problem))
                break
            except KafkaError as problem:
                failed[index] = reason(problem)
        if sent:
            await asyncio.wait(sent.values(), timeout=max(0.0, until - time.monotonic()))
        for index, answer in sent.items():
            if not answer.done():
                failed[index] = "no answer in time"
            elif (cause := answer.exception()) is not None:
                failed[index] = reason(cause)
        return failed

    def close(self) -> None:
        """Leave the broker."""
        try:
            self._loop.run(self._producer.stop(), 5)
        except (KafkaError, TimeoutError):
            pass  # what was not sent is known to whoever sent it
        finally:
            self._loop.close()
