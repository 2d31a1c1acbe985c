"""The second stage: messages of a shard to emissions, delivered, and only then left behind.

A shard's messages are a log of its own: a replay gives the same emissions in the same order. Each is handed
to the sinks by itself, so that its inserts carry the same tokens again, and the mark behind the last is
written at once. After a kill the shard is restored from its last whole state and driven through the messages
since; it hands out again only what follows the mark.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError

from operators import meters as of
from operators.adapters.faust.journal import Journal
from operators.adapters.faust.keeper import Keeper
from operators.adapters.faust.stage import Stage
from operators.adapters.faust.topics import messages_topic, shards_journal
from operators.adapters.figures import accounts
from operators.adapters.kafka.options import KafkaOptions
from operators.adapters.metering import forget_shard, tell_emission, tell_shard
from operators.emission import Emission
from operators.meters import UNMETERED, Meters
from operators.settings import Settings
from schemas.rows import Count

ACCOUNTS_S = 5.0
POLL_RECORDS = 200
TELL_S = 1.0

log = logging.getLogger(__name__)


class Outputs(Protocol):
    """What is needed of the run's sinks."""

    def write(self, emission: Emission) -> None: ...  # noqa: D102
    def write_accounts(self, run_id: str, revision: int, counts: Iterable[Count]) -> None: ...  # noqa: D102
    def flush(self) -> None: ...  # noqa: D102


class Detecting(Stage):
    """The members of this group share the shards.

    Args:
        options: how the broker is reached; ``group`` names the app.
        settings: of the core.
        outputs: the sinks; called in threads, one call at a time.
        warm: snapshots that shards without a journal begin with, by index.
        meters: told of emissions and of what the shards kept here hold.
    """

    def __init__(
        self,
        options: KafkaOptions,
        settings: Settings,
        outputs: Outputs,
        warm: Mapping[int, bytes],
        meters: Meters = UNMETERED,
        **service: Any,
    ) -> None:
        super().__init__(options, messages_topic(options.group), **service)
        self._settings = settings
        self._outputs = outputs
        self._warm = warm
        self._meters = meters
        self._told_s = float("-inf")
        self._keepers: dict[int, Keeper] = {}
        self._journals: list[Journal] = []
        self._admin = AIOKafkaAdminClient(**self.how)

    @property
    def shards(self) -> Mapping[int, Keeper]:
        """The shards kept here, by index."""
        return self._keepers

    @property
    def finished(self) -> bool:
        """Whether the shards kept here have heard every partition's end, and all they handed out is saved."""
        return bool(self._keepers) and all(
            keeper.shard.clock.exhausted and keeper.saved_at == keeper.offset
            for keeper in self._keepers.values()
        )

    def subscribe(self, consumer: Any, listener: ConsumerRebalanceListener) -> None:
        """The app's own messages."""
        consumer.subscribe([messages_topic(self.options.group)], listener=listener)

    async def on_start(self) -> None:
        """Join the group."""
        await self._admin.start()
        await super().on_start()

    async def on_stop(self) -> None:
        """Settle and leave."""
        await super().on_stop()
        await self._admin.close()

    async def open(self, assigned: set[TopicPartition]) -> None:
        """Restore the shards, and go on in their messages where their states end."""
        topic, group = shards_journal(self.options.group), self.options.group
        journals = {
            place: Journal(self.how, topic, place.partition, str(place.partition)) for place in assigned
        }
        self._journals = list(journals.values())
        first = await self.consumer.beginning_offsets(list(assigned)) if assigned else {}
        keepers = await asyncio.gather(
            *(
                Keeper.open(
                    *(place.partition, journal, first[place], self._settings, group),
                    warm=self._warm.get(place.partition),
                )
                for place, journal in journals.items()
            )
        )
        self._keepers = {keeper.shard.index: keeper for keeper in keepers}
        for place in assigned:
            self.consumer.seek(place, self._keepers[place.partition].offset)

    async def step(self) -> None:
        """Take what came, deliver what comes of it, mark it; now and then save and delete what is done."""
        found = await self.fetch(most=POLL_RECORDS)
        for place, records in found.items():
            await asyncio.to_thread(self._keepers[place.partition].take, records, self._deliver)
        await self._report()
        self._tell()
        ended = [keeper.shard.clock.exhausted for keeper in self._keepers.values()]
        await self._commit(save=bool(ended) and all(ended))

    async def settle(self) -> None:
        """Save, so that whoever takes over need not replay."""
        await self._report(now=True)
        await self._commit(save=True)

    def journals(self) -> Iterable[Journal]:
        """Of the shards kept here."""
        return self._journals

    def forget(self) -> None:
        """Drop the shards."""
        for index in self._keepers:
            forget_shard(self._meters, index)
        self._meters.forget(of.TURN, "detecting")
        self._keepers, self._journals = {}, []

    def _deliver(self, emission: Emission) -> None:
        self._outputs.write(emission)
        tell_emission(self._meters, emission)
        self.persist(self._outputs.flush)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told_s < TELL_S:
            return
        self._told_s = now
        self._meters.set(of.TURN, round(time.time()), "detecting")
        for index, keeper in self._keepers.items():
            tell_shard(self._meters, keeper.shard)
            self._meters.set(of.STATE_BYTES, keeper.state_bytes, str(index))

    async def _report(self, *, now: bool = False) -> None:
        """Accounts go to the store every few seconds and at the end: shard 0's, and what others saw late."""
        for keeper in self._keepers.values():
            due = now or keeper.shard.clock.exhausted or time.monotonic() - keeper.told_s >= ACCOUNTS_S
            if not due or keeper.told_at == keeper.offset:
                continue
            keeper.told_s, keeper.told_at = time.monotonic(), keeper.offset
            if counts := accounts(keeper.figures.lines()):
                await asyncio.to_thread(self._account, keeper.run_id, keeper.offset, counts)

    def _account(self, run_id: str, revision: int, counts: list[Count]) -> None:
        self._outputs.write_accounts(run_id, revision, counts)  # may have to wait for another's flush
        self.persist(self._outputs.flush)

    async def _commit(self, *, save: bool = False) -> None:
        keepers = list(self._keepers.values())
        saved = await asyncio.gather(*(keeper.commit(save=save) for keeper in keepers))
        done = {
            self._place(keeper): keeper.saved_at for keeper, yes in zip(keepers, saved, strict=True) if yes
        }
        if done:
            await self.commit(done)
            await self._delete(done)

    async def _delete(self, done: Mapping[TopicPartition, int]) -> None:
        """Delete messages that no restart needs; what cannot be deleted now is by the next state."""
        try:
            await self._admin.delete_records(
                {place: RecordsToDelete(before_offset=offset) for place, offset in done.items()}
            )
        except KafkaError as problem:
            log.warning("messages of %s are kept: %r", self.options.group, problem)

    def _place(self, keeper: Keeper) -> TopicPartition:
        return TopicPartition(messages_topic(self.options.group), keeper.shard.index)
