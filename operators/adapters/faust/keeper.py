"""One shard in a worker: its journal, where it is in its messages, up to where its outputs are delivered."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from typing import Any, Self

from msgspec import Struct, msgpack

from operators import message
from operators.adapters.drive import drive
from operators.adapters.faust.journal import SNAPSHOT_S, Journal, JournalError, check_layout, decode
from operators.adapters.faust.lane import ACCOUNTS
from operators.adapters.faust.topics import messages_topic
from operators.adapters.figures import Figures
from operators.emission import Emission
from operators.settings import Settings
from operators.shard import Shard
from schemas.plans import prepare
from schemas.rows import Count

log = logging.getLogger(__name__)


class _State(Struct, frozen=True):
    layout: str
    run_id: str
    offset: int
    shard: bytes
    figures: Figures


class _Mark(Struct, frozen=True):
    delivered_to: int


prepare(_State, _Mark, Count)


class Keeper:
    """One shard, where it is in its messages, and up to where its outputs are delivered.

    ``figures``: of what it has handed out and, as shard 0, been told of accounts, since the app began.
    """

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

    @classmethod
    async def open(
        cls, index: int, journal: Journal, first: int, settings: Settings, group: str, warm: bytes | None
    ) -> Self:
        """The shard as its journal has it, or a new one.

        Args:
            index: of the shard.
            journal: of it; is opened.
            first: offset of the first of its messages that is still there.
            settings: of the core.
            group: name of the app.
            warm: snapshot that a new one begins with.

        Raises:
            JournalError: the journal cannot be gone on with, or messages since are lost.
        """
        saved = await journal.open()
        if saved is None:
            shard = Shard.restore(warm, settings) if warm else Shard(index, settings)
            keeper = cls(shard, journal, str(uuid.uuid4()), first, Figures())
            await keeper.commit(save=True)
            return keeper
        state = decode(saved.state, _State)
        check_layout(state.layout, settings, group)
        if state.offset < first:
            raise JournalError(
                f"{messages_topic(group)}/{index} begins at {first}, the shard's state ends at "
                f"{state.offset}: messages are lost; start anew under another kafka.group"
            )
        shard = await asyncio.to_thread(Shard.restore, state.shard, settings)
        keeper = cls(shard, journal, state.run_id, state.offset, state.figures)
        keeper.saved_at = state.offset
        keeper.delivered_to = keeper.marked_at = decode(saved.mark, _Mark).delivered_to
        keeper.state_bytes = len(saved.state)
        log.info("shard %d is restored", index, extra={"shard": index, "state_bytes": keeper.state_bytes})
        return keeper

    def take(self, records: list[Any], deliver: Callable[[Emission], None]) -> None:
        """Drive the shard through records of its topic; heavy, for a thread."""
        for record in records:
            for name, value in record.headers:
                if name == ACCOUNTS:
                    self.figures.add(decode(value, list[Count]))
            emissions = drive(self.shard, message.decode(record.value))
            for emission in emissions:
                self.figures.count(emission)
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
