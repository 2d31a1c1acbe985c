"""Reads the partitions of one source in step, each through its own `Intake`.

The partition whose time is lowest is read next and none runs far ahead of it, so that few buckets are open at
once however unlike the topics are. A partition that falls quiet leaves as ``idle``, one that is read to its
end as ``exhausted``. Wall clock is passed in and decides idleness alone.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import msgspec
from msgspec import Struct

from operators.adapters.metering import described, tell_delivery, tell_reading
from operators.adapters.source import Partition, Source
from operators.intake import Delivery, Intake
from operators.message import PartitionState
from operators.meters import UNMETERED, Meters
from operators.settings import Settings
from schemas.plans import prepare

#: How far, in event time, a partition may be read ahead of the lowest one.
AHEAD_MS = 120_000
#: How often new partitions are looked for.
DISCOVER_EVERY_S = 30.0
#: How often where the reader stands is told to the meters.
TELL_EVERY_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """One delivery of one partition, and the offset behind it."""

    partition: str
    delivery: Delivery
    next_offset: int
    last_bucket: int | None


class _Place(Struct, frozen=True):
    """What of one partition goes into a snapshot."""

    offset: int
    intake: bytes


prepare(_Place)


class _Lane:
    """One partition: its intake, where it stands, and for how long its time has not risen (wall seconds)."""

    def __init__(self, partition: Partition, intake: Intake) -> None:
        self.partition = partition
        self.intake = intake
        self.quiet_s = 0.0

    @property
    def time_ms(self) -> int | None:
        return self.intake.time_ms

    @property
    def active(self) -> bool:
        return self.intake.state == "active"

    @property
    def exhausted(self) -> bool:
        return self.intake.state == "exhausted"


class Reader:
    """All partitions of one source: poll, intake, idleness, and one snapshot over them."""

    def __init__(
        self, source: Source, settings: Settings, *, until_end: bool, meters: Meters = UNMETERED
    ) -> None:
        self._source = source
        self._settings = settings
        self._until_end = until_end
        self._meters = meters
        self._lanes: dict[str, _Lane] = {}
        self._elsewhere = False
        self._told_s = float("-inf")
        self._watermark_ms: int | None = None
        self._lateness_ms = settings.windows.lateness_s * 1000
        self._polled_s: float | None = None
        self._discovered_s: float | None = None
        self.quiet_s = 0.0
        self.no_data_s = 0.0
        self.discover()

    def discover(self) -> None:
        """Take in partitions that were not there before, and tell every intake of all of them."""
        known = self._source.partitions()
        fresh = [each for each in known if each.here and each.name not in self._lanes]
        for partition in fresh:
            intake = Intake(partition.topic, partition.name, self._settings)
            intake.next_offset = self._source.position(partition.name)
            self._lanes[partition.name] = _Lane(partition, intake)
        if fresh:
            news = [partition.name for partition in fresh]
            log.info("%d new partitions, first %s", len(news), news[0], extra={"partitions": news})
        self._elsewhere = any(not each.here and _timed(each) for each in known)
        names = tuple(sorted({partition.name for partition in known} | self._lanes.keys()))
        for lane in self._lanes.values():
            lane.intake.partitions = names

    def go_on(self, intakes: Iterable[Intake]) -> None:
        """Have these partitions go on where their intakes are; the source is at their ``next_offset``."""
        for intake in intakes:
            if intake.partition in self._lanes:
                self._lanes[intake.partition].intake = intake
        self.discover()

    @property
    def finished(self) -> bool:
        """Whether every partition is exhausted; never without an end."""
        return self._until_end and all(lane.exhausted for lane in self._lanes.values())

    @property
    def positions(self) -> dict[str, int]:
        """The next offset of each partition that anything was read of; the source knows the others."""
        return {
            name: lane.intake.next_offset for name, lane in self._lanes.items() if lane.intake.next_offset
        }

    @property
    def time_ms(self) -> int | None:
        """The lowest time of a partition that still counts; None while none has one."""
        times = [lane.time_ms for lane in self._lanes.values() if lane.active]
        return min((time for time in times if time is not None), default=None)

    @staticmethod
    def positions_of(snapshot: bytes) -> dict[str, int]:
        """`positions` as they were at a snapshot."""
        places = msgspec.msgpack.decode(snapshot, type=dict[str, _Place])
        return {name: place.offset for name, place in places.items() if place.offset}

    def step(self, now_s: float, timeout_s: float = 0.5) -> list[Step]:
        """Poll once and hand out what came of it; ``now_s`` is a monotonic wall clock."""
        ready = self.ready()
        if not ready and not self.finished:
            time.sleep(timeout_s)  # no partition yet: whoever asks in a loop is not to spin
        batches = self._source.poll(ready, timeout_s) if ready else []
        elapsed = max(0.0, now_s - self._polled_s) if self._polled_s is not None else 0.0
        self._polled_s = now_s
        if self._discovered_s is None or now_s - self._discovered_s >= DISCOVER_EVERY_S:
            self._discovered_s = now_s
            self.discover()
        steps: list[Step] = []
        rose: set[str] = set()
        read = {batch.partition for batch in batches}
        for batch in batches:
            lane = self._lanes[batch.partition]
            before = lane.time_ms
            delivery = lane.intake.take(batch.records)
            self._account(lane.partition, len(batch.records), delivery)
            steps.append(Step(batch.partition, delivery, batch.next_offset, _last_bucket(delivery)))
            if lane.time_ms != before:
                lane.quiet_s = 0.0
                rose.add(batch.partition)
        quiet = not rose and self._waits and not self.finished  # who has read all misses nothing
        self._watch(self.quiet_s + elapsed if quiet else 0.0)
        for name, lane in self._lanes.items():
            if lane.exhausted or name in rose:
                continue
            if self._until_end and self._source.ended(name):
                steps.append(self._change(lane, "exhausted"))
                continue
            if name in read or self._source.at_end(name):
                lane.quiet_s += elapsed
            if lane.active and lane.quiet_s > self._settings.windows.idle_s:
                steps.append(self._change(lane, "idle"))
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            self._tell()
        return steps

    def commit(self, positions: dict[str, int]) -> None:
        """Tell the source what is done with."""
        if positions:
            self._source.commit(positions)

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()

    def snapshot(self) -> bytes:
        """Offsets and intakes of all partitions; the same bytes for the same state."""
        places = {
            name: _Place(lane.intake.next_offset, lane.intake.snapshot())
            for name, lane in sorted(self._lanes.items())
        }
        return msgspec.msgpack.encode(places)

    @classmethod
    def restore(
        cls,
        data: bytes,
        source: Source,
        settings: Settings,
        *,
        until_end: bool,
        meters: Meters = UNMETERED,
    ) -> Self:
        """The reader as it was; partitions that appeared since start at their beginning."""
        reader = cls(source, settings, until_end=until_end, meters=meters)
        places = msgspec.msgpack.decode(data, type=dict[str, _Place])
        reader.go_on(Intake.restore(place.intake, settings) for place in places.values())
        # also where nothing was read yet: what a runner has committed may be ahead of the snapshot
        source.seek({n: lane.intake.next_offset for n, lane in reader._lanes.items() if n in places})
        return reader

    @property
    def _waits(self) -> bool:
        """Whether telemetry is to come here: not where others read all of it."""
        return not self._elsewhere or any(_timed(lane.partition) for lane in self._lanes.values())

    def _account(self, partition: Partition, records: int, delivery: Delivery) -> None:
        tell_delivery(self._meters, partition.topic, records, delivery)
        faults = delivery.messages[0].faults if delivery.messages else ()
        if faults:
            log.warning("%s: %s", partition.name, described(faults), extra={"partition": partition.name})

    def _tell(self) -> None:
        self._watermark_ms = self.time_ms or self._watermark_ms  # it stands when no partition is left
        reached = None if self._watermark_ms is None else self._watermark_ms - self._lateness_ms
        intakes = [lane.intake for lane in self._lanes.values()]
        quiet_s = self.quiet_s if self.quiet_s > self._settings.windows.idle_s else 0.0
        tell_reading(self._meters, self._source, intakes, quiet_s, reached)

    def _watch(self, quiet_s: float) -> None:
        """The pipeline's own ``no_data``: no partition's time has moved for as long as makes one idle."""
        limit = self._settings.windows.idle_s
        if quiet_s > limit >= self.quiet_s:
            log.warning("no_data: no new telemetry for %.0f s", quiet_s, extra={"state": "no_data"})
        elif quiet_s <= limit < self.quiet_s:
            fields = {"state": "running", "quiet_s": round(self.quiet_s, 1)}
            log.warning("telemetry comes again, after %.0f s", self.quiet_s, extra=fields)
        self.quiet_s = quiet_s
        if quiet_s > limit:
            self.no_data_s = max(self.no_data_s, quiet_s)

    def ready(self) -> list[str]:
        """Partitions to read now, lowest time first; none that is far ahead of the lowest."""
        lanes = [lane for lane in self._lanes.values() if not lane.exhausted]
        lanes.sort(key=lambda lane: (lane.time_ms is not None, lane.time_ms or 0, lane.partition.name))
        lowest = self.time_ms
        return [
            lane.partition.name
            for lane in lanes
            if lowest is None or lane.time_ms is None or lane.time_ms <= lowest + AHEAD_MS
        ]

    def _change(self, lane: _Lane, state: PartitionState) -> Step:
        delivery = lane.intake.state_change(state)
        return Step(lane.partition.name, delivery, lane.intake.next_offset, None)


def _timed(partition: Partition) -> bool:
    """Whether it takes part in time."""
    return partition.topic != "changes.v1"


def _last_bucket(delivery: Delivery) -> int | None:
    """The latest bucket a sample of the delivery fell into: once it is closed, the delivery is done with."""
    ledgers = (message.ledger for message in delivery.messages.values())
    return max(
        (bucket for ledger in ledgers for buckets in ledger.values() for bucket in buckets), default=None
    )
