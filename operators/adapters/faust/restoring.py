"""How a worker takes a source partition over: its intake as the owner before it had it, to the record."""

import asyncio
import logging
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from operators.adapters.faust.journal import Journal, JournalError, check_layout, decode
from operators.adapters.faust.lane import Lane, Mark, name_of
from operators.adapters.faust.stage import POLL_MS
from operators.adapters.faust.topics import intakes_journal, messages_topic
from operators.adapters.kafka.options import KafkaOptions
from operators.adapters.kafka.records import source_records
from operators.intake import Intake
from operators.settings import Settings
from operators.shard.hashing import name_hash

log = logging.getLogger(__name__)


class Restoring:
    """Opens lanes.

    Args:
        options: how the broker is reached; ``group`` names the app.
        how: the same in aiokafka's words.
        settings: of the core.
    """

    def __init__(self, options: KafkaOptions, how: dict[str, Any], settings: Settings) -> None:
        self._options = options
        self._how = how
        self._settings = settings

    def journal(self, place: TopicPartition) -> Journal:
        """The journal of a partition; journals share the changelog's partitions."""
        name = name_of(place)
        number = name_hash(name) % self._settings.shards
        return Journal(self._how, intakes_journal(self._options.group), number, name)

    async def open(self, place: TopicPartition, journal: Journal, consumer: Any) -> Lane:
        """The lane of a partition, from its journal, or where the group or its options say it begins.

        Raises:
            JournalError: the journal cannot be gone on with, or the partition holds less than was read of it.
        """
        name = name_of(place)
        messages = messages_topic(self._options.group)
        saved = await journal.open()
        if saved is None:
            intake = Intake(place.topic, name, self._settings)
            intake.next_offset = await self._start(place, consumer)
            return Lane(place, intake, journal, self._settings, messages)
        mark = decode(saved.mark, Mark)
        check_layout(mark.layout, self._settings, self._options.group)
        check_goes_on(place, mark.next_offset, (await consumer.end_offsets([place]))[place])
        intake = Intake.restore(saved.state, self._settings)
        log.info("%s goes on from offset %d", name, mark.next_offset, extra={"partition": name})
        if intake.next_offset < mark.next_offset:
            await self._again(place, intake, mark.next_offset)
        # what was read to its end may have grown since
        intake.resume(mark.position, "idle" if mark.state == "exhausted" else mark.state)
        return Lane(place, intake, journal, self._settings, messages)

    async def _start(self, place: TopicPartition, consumer: Any) -> int:
        """Where to begin with a partition that the app never read: what the group committed, else as set."""
        # the group's own consumer answers only after a rebalance, which may be waiting for this
        alone = AIOKafkaConsumer(group_id=self._options.group, enable_auto_commit=False, **self._how)
        await alone.start()
        try:
            alone.assign([place])
            committed = await alone.committed(place)
        finally:
            await alone.stop()
        if committed is not None:
            return int(committed)
        earliest = self._options.start == "earliest"
        ask = consumer.beginning_offsets if earliest else consumer.end_offsets
        return int((await ask([place]))[place])

    async def _again(self, place: TopicPartition, intake: Intake, until: int) -> None:
        """Take records once more whose messages were sent, so that the intake knows what it knew."""
        consumer = AIOKafkaConsumer(
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **self._how,
        )
        await consumer.start()
        try:
            consumer.assign([place])
            consumer.seek(place, intake.next_offset)
            while intake.next_offset < until and await consumer.position(place) < until:
                found = await consumer.getmany(timeout_ms=POLL_MS, max_records=self._options.max_poll_records)
                for records in found.values():
                    taken = [record for record in records if record.offset < until]
                    await asyncio.to_thread(intake.take, source_records(place.topic, place.partition, taken))
        finally:
            await consumer.stop()
        intake.next_offset = max(intake.next_offset, until)


def check_goes_on(place: TopicPartition, next_offset: int, there: int) -> None:
    """Refuse a partition that was made anew under its journal, whose records would pass for ones read before.

    Args:
        place: the partition.
        next_offset: where reading goes on.
        there: an offset that the partition has: its end, or that of a record it gives next.

    Raises:
        JournalError: ``there`` lies before ``next_offset``.
    """
    if there < next_offset:
        raise JournalError(
            f"{name_of(place)} was read up to offset {next_offset} and is now at {there}: it was deleted and "
            "made anew, or cut; start anew under another kafka.group"
        )
