"""One stage as a service: a consumer group whose members each keep the tasks of the partitions they hold.

At every rebalance a member settles its tasks, lets go of all of them, and opens those it is given: one way in
and one way out, the same after a start, a kill, a broker that was away, and a fence.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from operators.adapters.faust.journal import Journal
from operators.adapters.kafka.aio import settings as words
from operators.adapters.kafka.options import KafkaOptions
from operators.store_errors import SinkError, StoreError

#: After this long without a sign of life a member's partitions go to the others: the least that brokers grant
#: by default, and nearly all that a killed worker's tasks wait.
SESSION_MS = 6_000
POLL_MS = 200
AGAIN_S = 1.0
#: How long the broker may take to answer a question, and a stage to settle.
ASK_S = 2.0
SETTLE_S = 20.0
#: Longest wait between two tries of a sink that refuses.
REFUSED_S = 10.0
#: Of one poll and partition; a larger record comes alone.
FETCH_BYTES = 2**20

log = logging.getLogger(__name__)


class Stage(Service):
    """The life of a stage. A kind of stage says how tasks are opened, moved on by one step, and settled."""

    def __init__(self, options: KafkaOptions, group: str, **service: Any) -> None:
        super().__init__(**service)
        self.options = options
        self.how = words(options)
        self.failure: BaseException | None = None
        self._group = group
        self._assigned: set[TopicPartition] | None = None
        self._opened = False
        self._lock = asyncio.Lock()
        self.consumer: Any = None

    def subscribe(self, consumer: Any, listener: ConsumerRebalanceListener) -> None:
        """Subscribe to this stage's topics."""
        raise NotImplementedError

    async def open(self, assigned: set[TopicPartition]) -> None:
        """Open the tasks of these partitions, and put the consumer where they are."""
        raise NotImplementedError

    async def step(self) -> None:
        """Read once and move on; must not take long."""
        raise NotImplementedError

    async def settle(self) -> None:
        """Deliver and save everything."""
        raise NotImplementedError

    def journals(self) -> Iterable[Journal]:
        """Of the open tasks."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop the open tasks."""
        raise NotImplementedError

    async def on_start(self) -> None:
        """Join the group."""
        self.consumer = AIOKafkaConsumer(
            group_id=self._group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 4,
            metadata_max_age_ms=30_000,
            max_partition_fetch_bytes=FETCH_BYTES,
            **self.how,
        )
        self.subscribe(self.consumer, _Listener(self))
        await self.consumer.start()

    async def on_stop(self) -> None:
        """Settle, and leave the group at once, so that others need not wait."""
        async with self._lock:
            await self._let_go(settle=self.failure is None)
        await self.consumer.stop()

    @Service.task
    async def run(self) -> None:
        """Open, step, and open again after whatever a retry can heal."""
        try:
            while not self.should_stop:
                try:
                    async with self._lock:
                        await self._advance()
                except (KafkaError, OSError) as problem:
                    log.warning("%s starts again from its journals: %r", self.label, problem)
                    async with self._lock:
                        await self._let_go(settle=False)
                    await self.sleep(AGAIN_S)
        except Exception as problem:
            self.failure = problem
            raise

    async def _advance(self) -> None:
        if not self._opened and self._assigned is not None:
            await self.open(self._assigned)
            self._opened = True
        if self._opened:
            await self.step()
        else:
            await asyncio.sleep(POLL_MS / 1000)

    async def _let_go(self, *, settle: bool) -> None:
        if settle and self._opened:
            try:
                async with asyncio.timeout(SETTLE_S):
                    await self.settle()
            except (KafkaError, OSError) as problem:
                log.warning(
                    "%s could not settle, its journals stay as they were: %r",
                    self.label,
                    problem,
                )
        self._opened = False
        await asyncio.gather(*(journal.close() for journal in self.journals()))
        if not self.should_stop:  # a report may still want to know what was kept here
            self.forget()

    async def revoked(self) -> None:
        """The group is about to deal anew."""
        async with self._lock:
            await self._let_go(settle=True)
            self._assigned = None

    def given(self, assigned: set[TopicPartition]) -> None:
        """The group has dealt."""
        self._assigned = assigned

    async def fetch(self, *places: TopicPartition, most: int) -> Mapping[TopicPartition, list[Any]]:
        """What came of these partitions, or of all that are held; nothing while the group deals anew.

        aiokafka's `getmany` then waits for the new assignment, which waits until the step that asked is over.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(ASK_S):
                found: Mapping[TopicPartition, list[Any]] = await self.consumer.getmany(
                    *places, timeout_ms=POLL_MS, max_records=most
                )
                return found
        return {}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Show the group's offsets to people; where a task goes on is in its journal alone."""
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(ASK_S):
                await self.consumer.commit(offsets)

    def persist(self, flush: Callable[[], None]) -> None:
        """Flush sinks until they take it, or the stage stops; runs in a thread, and nothing moves on."""
        wait = 0.5
        while True:
            try:
                flush()
            except (SinkError, StoreError) as problem:
                if self.should_stop:
                    raise
                log.warning("outputs wait, nothing is read: %s", problem)
                self._rest(wait)
                wait = min(2 * wait, REFUSED_S)
            else:
                return

    def _rest(self, seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(self.sleep(seconds), self.loop).result()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def on_partitions_revoked(self, revoked: Any) -> None:
        await self._stage.revoked()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        self._stage.given(set(assigned))
