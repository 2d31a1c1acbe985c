"""The first stage: records of the source partitions to messages of the shards.

A delivery's messages and the mark behind it are one transaction: a shard sees each stretch of a partition's
chain once, however the owner ended, and the next owner knows to the record how far the messages go. The
intake's whole state, which holds the keys of all open buckets, follows only every half minute: whoever takes
over restores it, takes the records up to the mark once more, sending nothing, and has the same intake.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from operators import meters as of
from operators.adapters.faust.assigned import Assigned
from operators.adapters.faust.journal import Journal
from operators.adapters.faust.lane import Lane, name_of
from operators.adapters.faust.restoring import Restoring, check_goes_on
from operators.adapters.faust.stage import ASK_S, POLL_MS, Stage
from operators.adapters.kafka.options import KafkaOptions
from operators.adapters.kafka.records import source_records
from operators.adapters.metering import forget_partition
from operators.adapters.reader import Reader
from operators.adapters.source import Batch
from operators.dead_letters import DeadLetter
from operators.meters import UNMETERED, Meters
from operators.settings import Settings

#: Shards see a delivery when its transaction ends.
COMMIT_S = 0.5

log = logging.getLogger(__name__)


class Reading(Stage):
    """The members of this group share the source partitions.

    Args:
        options: how the broker is reached; ``group`` names the app.
        topics: canonical topic names; those that do not exist are waited for.
        settings: of the core.
        until_end: whether a partition is exhausted once all is read that was there when reading began.
        deliver: takes dead letters and returns when they are delivered; called in a thread.
        meters: told of deliveries, and of where the partitions held here stand.
    """

    def __init__(
        self,
        options: KafkaOptions,
        topics: Iterable[str],
        settings: Settings,
        *,
        until_end: bool,
        deliver: Callable[[list[DeadLetter]], None],
        meters: Meters = UNMETERED,
        **service: Any,
    ) -> None:
        super().__init__(options, options.group, **service)
        self._topics = tuple(topics)
        self._settings = settings
        self._until_end = until_end
        self._deliver = deliver
        self._meters = meters
        self._restoring = Restoring(options, self.how, settings)
        self._letters: list[DeadLetter] = []
        self._ends_at_start: dict[str, int] = {}
        self._lanes: dict[str, Lane] = {}
        self._journals: list[Journal] = []
        self._reader: Reader | None = None
        self._source = Assigned({}, {})
        self._committed_s = self._asked_s = 0.0
        self._no_data_s = 0.0

    @property
    def time_ms(self) -> int | None:
        """The lowest time of the partitions read here."""
        return self._reader.time_ms if self._reader else None

    @property
    def no_data_s(self) -> float:
        """The longest time without any telemetry, in seconds."""
        return max(self._no_data_s, self._reader.no_data_s if self._reader else 0.0)

    @property
    def finished(self) -> bool:
        """Whether all partitions held here are read to their end, and the shards can know it."""
        return (
            self._reader is not None
            and self._reader.finished
            and not any(lane.dirty for lane in self._lanes.values())
        )

    @property
    def known(self) -> Iterable[str]:
        """Every partition there is, whoever reads it."""
        return self._source.others

    @property
    def partitions(self) -> Mapping[str, int]:
        """The partitions held here, each with the next offset to read."""
        return {name: lane.intake.next_offset for name, lane in self._lanes.items()}

    def subscribe(self, consumer: Any, listener: ConsumerRebalanceListener) -> None:
        """By pattern, so that topics which come later are found."""
        names = "|".join(re.escape(topic) for topic in self._topics)
        consumer.subscribe(pattern=f"^({names})$", listener=listener)

    async def open(self, assigned: set[TopicPartition]) -> None:
        """Restore the partitions' intakes."""
        fresh = [place for place in assigned if name_of(place) not in self._ends_at_start]
        ends = await self.consumer.end_offsets(fresh) if fresh else {}
        self._ends_at_start |= {name_of(place): end for place, end in ends.items()}
        journals = {place: self._restoring.journal(place) for place in assigned}
        self._journals = list(journals.values())
        opened = await asyncio.gather(
            *(self._restoring.open(place, journal, self.consumer) for place, journal in journals.items())
        )
        self._lanes = {lane.intake.partition: lane for lane in opened}
        for lane in opened:
            self.consumer.seek(lane.place, lane.intake.next_offset)
        source = Assigned({name: lane.place.topic for name, lane in self._lanes.items()}, self._ends_at_start)
        source.others = self._all()
        source.positions = {name: lane.intake.next_offset for name, lane in self._lanes.items()}
        self._source = source
        self._reader = Reader(source, self._settings, until_end=self._until_end, meters=self._meters)
        self._reader.go_on(lane.intake for lane in opened)

    async def step(self) -> None:
        """Fetch what may be read next, take it in, send it; every half second commit."""
        reader = self._reader
        if reader is None:
            return
        await self._ask()
        ready = [self._lanes[name].place for name in reader.ready()]
        found: Mapping[TopicPartition, Any] = {}
        if ready:
            found = await self.fetch(*ready, most=self.options.max_poll_records)
        else:
            await asyncio.sleep(POLL_MS / 1000)
        for place, records in found.items():
            if records:  # of a partition made anew meanwhile the consumer begins again by itself
                check_goes_on(place, self._lanes[name_of(place)].intake.next_offset, records[0].offset)
        self._source.offer([_batch(place, records) for place, records in found.items() if records])
        with suppress(TimeoutError):  # while the group deals anew nobody answers
            async with asyncio.timeout(ASK_S):
                for name, lane in self._lanes.items():
                    self._source.positions[name] = await self.consumer.position(lane.place)
        for step in await asyncio.to_thread(reader.step, time.monotonic(), 0.0):
            self._letters.extend(step.delivery.dead_letters)
            self._lanes[step.partition].hold(step)
        if time.monotonic() - self._committed_s >= COMMIT_S or reader.finished:
            await self._commit()

    async def settle(self) -> None:
        """Commit with the whole state, so that whoever takes over need not read anything again."""
        await self._commit(save=True)

    def journals(self) -> Iterable[Journal]:
        """Of the partitions held here."""
        return self._journals

    def forget(self) -> None:
        """Drop the intakes."""
        self._no_data_s = self.no_data_s
        for name, lane in self._lanes.items():
            forget_partition(self._meters, lane.place.topic, name)
        self._meters.forget(of.TURN, "reading")
        self._lanes, self._journals, self._reader, self._letters = {}, [], None, []

    async def _commit(self, *, save: bool = False) -> None:
        if self._letters:  # before a transaction begins, which would be over were the sink away for long
            letters, self._letters = self._letters, []
            await asyncio.to_thread(self._deliver, letters)
        dirty = [lane for lane in self._lanes.values() if lane.dirty or save]
        await asyncio.gather(*(lane.commit(save=save) for lane in dirty))
        if dirty:
            await self.commit({lane.place: lane.intake.next_offset for lane in dirty})
        self._committed_s = time.monotonic()

    async def _ask(self) -> None:
        if time.monotonic() - self._asked_s < ASK_S:
            return
        self._asked_s = time.monotonic()
        self._source.others = self._all()
        try:
            async with asyncio.timeout(ASK_S):
                ends = await self.consumer.end_offsets([lane.place for lane in self._lanes.values()])
        except (KafkaError, TimeoutError) as problem:
            self._source.ends = {}
            log.warning("kafka %s does not say where partitions end: %r", self.options.servers, problem)
        else:
            self._source.ends = {name_of(place): end for place, end in ends.items()}

    def _all(self) -> dict[str, str]:
        """Every partition of the topics, whoever reads it: name to topic."""
        return {
            f"{topic}/{number}": topic
            for topic in self._topics
            for number in sorted(self.consumer.partitions_for_topic(topic) or ())
        }


def _batch(place: TopicPartition, records: list[Any]) -> Batch:
    return Batch(
        name_of(place), source_records(place.topic, place.partition, records), records[-1].offset + 1
    )
