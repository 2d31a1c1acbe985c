"""One source partition in a worker: its intake, its journal, and what of it is not committed yet."""

import asyncio
import time

from aiokafka import TopicPartition
from msgspec import Struct, msgpack

from operators import message
from operators.adapters.accounting import lines
from operators.adapters.faust.journal import SNAPSHOT_S, Headers, Journal, layout
from operators.adapters.reader import Step
from operators.intake import Intake
from operators.message import PartitionState
from operators.settings import Settings
from schemas.plans import prepare

#: Header under which a delivery's accounts travel, with the message to shard 0.
ACCOUNTS = "accounts"


class Mark(Struct, frozen=True):
    """How far the messages of a partition go."""

    layout: str
    position: int
    next_offset: int
    state: PartitionState


prepare(Mark)


class Lane:
    """What steps give is held, then sent and marked in one short transaction: Kafka ends those that last.

    Args:
        place: the source partition.
        intake: of it.
        journal: of it.
        settings: of the core.
        topic: that the messages go to, a partition a shard.
    """

    def __init__(
        self, place: TopicPartition, intake: Intake, journal: Journal, settings: Settings, topic: str
    ) -> None:
        self.place = place
        self.intake = intake
        self.journal = journal
        self._topic = topic
        self._layout = layout(settings)
        self._held: list[tuple[int, bytes, Headers]] = []
        self._saved_s = time.monotonic()
        self._saved_at = -2

    @property
    def dirty(self) -> bool:
        """Whether there are messages that no shard can see yet."""
        return bool(self._held)

    def hold(self, step: Step) -> None:
        """Keep a step's messages until `commit`."""
        for shard, each in step.delivery.messages.items():
            counts = list(lines(step.delivery.accounts)) if shard == 0 else []
            headers = [(ACCOUNTS, msgpack.encode(counts))] if counts else []
            self._held.append((shard, message.encode(each), headers))

    async def commit(self, *, save: bool = False) -> None:
        """Let the shards see what is held; with the whole state now and then, or where it is asked for."""
        intake = self.intake
        position = intake.position
        save = save and position != self._saved_at
        if not save and not self._held:
            return
        mark = Mark(self._layout, position, intake.next_offset, intake.state)
        state = None
        if save or self._saved_at == -2 or time.monotonic() - self._saved_s >= SNAPSHOT_S:
            state = await asyncio.to_thread(intake.snapshot)
            self._saved_s, self._saved_at = time.monotonic(), position
        for shard, value, headers in self._held:
            await self.journal.send(self._topic, shard, value, headers)
        await self.journal.commit(msgpack.encode(mark), state)
        self._held.clear()


def name_of(place: TopicPartition) -> str:
    """The partition's name, as intakes and readers have it."""
    return f"{place.topic}/{place.partition}"
