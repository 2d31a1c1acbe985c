"""The second stage: messages of a shard to emissions, delivered, and only then left behind.

A shard's messages are a log of its own: a replay gives the same emissions in the same order. Each is handed
to the sinks by itself, so that its inserts carry the same tokens again, and the mark behind the last is
written at once. After a kill the shard is restored from its last whole state and driven through the messages
since; it hands out again only what follows the mark.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError
from msgspec import Struct, msgpack

from operators import message
from operators import meters as of
from operators.adapters.drive import drive
from operators.adapters.faust.journal import Journal, JournalError, check_layout, decode
from operators.adapters.faust.lane import ACCOUNTS
from operators.adapters.faust.stage import POLL_MS, Stage
from operators.adapters.faust.topics import messages_topic, shards_journal
from operators.adapters.kafka.options import KafkaOptions
from operators.adapters.metering import forget_shard, tell_emission, tell_shard
from operators.emission import Emission
from operators.meters import UNMETERED, Meters
from operators.settings import Settings
from operators.shard import Shard
from schemas.rows import Count

SNAPSHOT_S = 30.0
ACCOUNTS_S = 5.0
POLL_RECORDS = 200
TELL_S = 1.0

log = logging.getLogger(__name__)


class Outputs(Protocol):
    """What is needed of the run's sinks."""

    def write(self, emission: Emission) -> None: ...  # noqa: D102
    def write_accounts(self, run_id: str, revision: int, counts: Iterable[Count]) -> None: ...  # noqa: D102
    def flush(self) -> None: ...  # noqa: D102


class Figures(Struct):
    """What a shard has handed out and, as shard 0, been told of accounts, since the app began."""

    counts: dict[tuple[str, str, str], int] = {}
    events: dict[str, int] = {}
    revisions: int = 0
    windows: int = 0
    buckets: int = 0

    def told(self, counts: list[Count]) -> None:
        """Add a delivery's accounts."""
        for topic, outcome, reason, samples in counts:
            self._count(topic, outcome, reason, samples)

    def add(self, emission: Emission) -> None:
        """Add what an emission holds; what came below closed buckets is late, not accepted."""
        for event in emission.events:
            if event.revision == 0:
                self.events[event.kind] = self.events.get(event.kind, 0) + 1
        self.revisions += len(emission.events)
        self.windows += len(emission.windows)
        self.buckets += emission.buckets.num_rows if emission.buckets is not None else 0
        for topic, samples in emission.late.items():
            self._count(topic, "accepted", "", -samples)
            self._count(topic, "late", "after_idle", samples)

    def lines(self) -> list[Count]:
        """The accounts, sorted."""
        return [Count(*key, samples) for key, samples in sorted(self.counts.items()) if samples]

    def _count(self, topic: str, outcome: str, reason: str, samples: int) -> None:
        key = (topic, outcome, reason)
        self.counts[key] = self.counts.get(key, 0) + samples


class _State(Struct, frozen=True):
    layout: str
    run_id: str
    offset: int
    shard: bytes
    figures: Figures


class _Mark(Struct, frozen=True):
    delivered_to: int


class Keeper:
    """One shard, where it is in its messages, and up to where its outputs are delivered."""

    def __init__(self, shard: Shard, journal: Journal, run_id: str, offset: int, figures: Figures) -> None:
        self.shard = shard
        self.journal = journal
        self.run_id = run_id
        self.offset = self.delivered_to = offset
        self.figures = figures
        self.saved_at = -1
        self.state_bytes = 0
        self.saved_s = self.told_s = time.monotonic()
        self.told_at = offset
        self.marked_at = offset

    def take(self, records: list[Any], deliver: Any) -> None:
        """Drive the shard through records of its topic; heavy, for a thread."""
        for record in records:
            for name, value in record.headers:
                if name == ACCOUNTS:
                    self.figures.told(decode(value, list[Count]))
            emissions = drive(self.shard, message.decode(record.value))
            for emission in emissions:
                self.figures.add(emission)
                if record.offset >= self.delivered_to:
                    deliver(emission)
            self.offset = record.offset + 1
            if emissions:
                self.delivered_to = max(self.delivered_to, self.offset)

    def state(self) -> bytes:
        """Everything, as bytes."""
        settings = self.shard.settings.config_hash()
        return msgpack.encode(_State(settings, self.run_id, self.offset, self.shard.snapshot(), self.figures))

    async def commit(self, *, save: bool = False) -> bool:
        """Write the mark, and the whole state where it is asked for or due; says whether it was written."""
        due = self.saved_at < 0 or time.monotonic() - self.saved_s >= SNAPSHOT_S
        save = (save or due) and self.offset != self.saved_at
        if save:
            state = await asyncio.to_thread(self.state)
            self.state_bytes = len(state)
            self.saved_at, self.saved_s = self.offset, time.monotonic()
            await self.journal.commit(msgpack.encode(_Mark(self.delivered_to)), state)
        elif self.delivered_to > self.marked_at:
            await self.journal.commit(msgpack.encode(_Mark(self.delivered_to)))
        self.marked_at = self.delivered_to
        return save


class Detecting(Stage):
    """The members of this group share the shards.

    Args:
        options: how the broker is reached; ``group`` names the app.
        settings: of the core.
        outputs: the sinks; called in threads, one call at a time.
        meters: told of emissions and of what the shards kept here hold.
    """

    def __init__(
        self,
        options: KafkaOptions,
        settings: Settings,
        outputs: Outputs,
        meters: Meters = UNMETERED,
        **service: Any,
    ) -> None:
        super().__init__(options, messages_topic(options.group), **service)
        self._settings = settings
        self._outputs = outputs
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
        journals = {
            place.partition: Journal(
                self.how, shards_journal(self.options.group), place.partition, str(place.partition)
            )
            for place in assigned
        }
        self._journals = list(journals.values())
        first = await self.consumer.beginning_offsets(list(assigned)) if assigned else {}
        keepers = await asyncio.gather(
            *(self._open(place.partition, journals[place.partition], first[place]) for place in assigned)
        )
        self._keepers = {keeper.shard.index: keeper for keeper in keepers}
        for place in assigned:
            self.consumer.seek(place, self._keepers[place.partition].offset)

    async def step(self) -> None:
        """Take what came, deliver what comes of it, mark it; now and then save and delete what is done."""
        found = await self.consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
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
        """Shard 0 knows the accounts: their totals go to the store every few seconds and at the end."""
        keeper = self._keepers.get(0)
        if keeper is None or keeper.told_at == keeper.offset:
            return
        now = now or keeper.shard.clock.exhausted or time.monotonic() - keeper.told_s >= ACCOUNTS_S
        if not now:
            return
        keeper.told_s, keeper.told_at = time.monotonic(), keeper.offset
        counts = keeper.figures.lines()
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

    async def _open(self, index: int, journal: Journal, first: int) -> Keeper:
        saved = await journal.open()
        if saved is None:
            keeper = Keeper(Shard(index, self._settings), journal, str(uuid.uuid4()), first, Figures())
            await keeper.commit(save=True)
            return keeper
        state = decode(saved.state, _State)
        check_layout(state.layout, self._settings, self.options.group)
        if state.offset < first:
            raise JournalError(
                f"{messages_topic(self.options.group)}/{index} begins at {first}, the shard's state ends at "
                f"{state.offset}: messages are lost; start anew under another kafka.group"
            )
        shard = await asyncio.to_thread(Shard.restore, state.shard, self._settings)
        keeper = Keeper(shard, journal, state.run_id, state.offset, state.figures)
        keeper.saved_at = state.offset
        keeper.delivered_to = keeper.marked_at = decode(saved.mark, _Mark).delivered_to
        keeper.state_bytes = len(saved.state)
        log.info("shard %d is restored", index, extra={"shard": index, "state_bytes": keeper.state_bytes})
        return keeper
