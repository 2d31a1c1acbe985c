"""The intake of one partition: what is late or a duplicate is decided here, once and for all."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from operators.dead_letters import DeadLetter
from operators.fold.coding import Ints
from operators.intake.accounts import Accounts
from operators.intake.duplicates import Duplicates, keys_of
from operators.intake.faults import MINUTE_MS, FaultMinutes, Tally
from operators.intake.outbox import Outbox
from operators.intake.producers import hashes_of, producers_of
from operators.intake.reading import Readout, Samples, read
from operators.intake.time import PartitionTime, Producer, observe_all
from operators.intake.topology import Topology
from operators.message import CHAIN_STEPS, Message, PartitionState
from operators.settings import Settings
from operators.sources import SourceRecord
from operators.state import StateError, pack, unpack
from schemas.chunk import Chunk

_VERSIONS = frozenset({1})
_NO_TIME = -(2**62)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of some records: one message a shard, dead letters, and the accounts of just these."""

    messages: dict[int, Message]
    dead_letters: tuple[DeadLetter, ...]
    accounts: Accounts


@dataclass(frozen=True, slots=True)
class _Clocks:
    """By record: the partition's time before and after it, Unix ms; `_NO_TIME` for none."""

    before: Ints
    after: Ints


class Intake:
    """Takes a partition's records in offset order. Cutting them into other deliveries changes nothing.

    ``partitions``: every partition that is known, told to the shards with each message; set by the engine.
    ``next_offset``: the first offset not taken yet, where reading goes on after a restore.
    """

    def __init__(self, topic: str, partition: str, settings: Settings) -> None:
        self.topic = topic
        self.partition = partition
        self.partitions: tuple[str, ...] = (partition,)
        self.next_offset = 0
        self.state: PartitionState = "active"
        self._settings = settings
        self._position = -1
        self._timeless = topic == "changes.v1"
        windows = settings.windows
        self._lateness_ms = windows.lateness_s * 1000
        self._bucket_ms = windows.bucket_s * 1000
        self._time = PartitionTime(self._lateness_ms)
        self._duplicates = Duplicates(self._bucket_ms, self._lateness_ms)
        self._faults = FaultMinutes(topic, partition)
        self._topology = Topology()

    @property
    def time_ms(self) -> int | None:
        """The partition's time, Unix ms."""
        return self._time.time_ms

    def take(self, records: Sequence[SourceRecord]) -> Delivery:
        """Take the next records; those below ``next_offset`` were taken before and are passed over."""
        records = [record for record in records if record.offset >= self.next_offset]
        if not records:
            return Delivery({}, (), Accounts())
        readout = read(self.topic, records, self._settings.windows.ahead_s)
        self.state = "active"
        outbox = Outbox()
        accepted, accounts = self._decide(readout, len(records), outbox)
        outbox.add(accepted, self._settings)
        if not self._timeless:
            outbox.edges = [edge for chunk in accepted for edge in self._topology.news(chunk)]
        self.next_offset = records[-1].offset + 1
        letters = tuple(letter for _, letter in sorted(readout.dead_letters, key=lambda pair: pair[0]))
        return Delivery(self._messages(self.next_offset * CHAIN_STEPS, outbox), letters, accounts)

    def state_change(self, state: PartitionState) -> Delivery:
        """Tell the shards that the partition is idle, exhausted, or active again."""
        self.state = state
        outbox = Outbox()
        if state == "exhausted":
            outbox.faults = self._faults.close()
        position = max(self._position, self.next_offset * CHAIN_STEPS) + 1
        return Delivery(self._messages(position, outbox), (), Accounts())

    @property
    def position(self) -> int:
        """Where the chain of messages has got to."""
        return self._position

    def resume(self, position: int, state: PartitionState) -> None:
        """Go on in the chain behind messages that were sent before, from records taken again since."""
        self._position, self.state = position, state

    def _decide(self, readout: Readout, records: int, outbox: Outbox) -> tuple[list[Chunk], Accounts]:
        topic = self.topic
        accounts = Accounts(
            records=Counter({topic: records}),
            received=Counter({topic: readout.received}),
            refused=Counter((topic, letter.reason) for _, letter in readout.dead_letters),
            ignored=Counter({(topic, name): count for name, count in readout.ignored.items()}),
            unknown_fields=Counter({(topic, name): count for name, count in readout.unknown_fields.items()}),
        )
        samples = [each for each in readout.samples if each.chunk.batch.num_rows]
        if self._timeless:
            accepted = [each.chunk for each in samples]
        else:
            accepted = self._sift(samples, records, outbox, accounts)
        accounts.accepted[topic] += sum(chunk.batch.num_rows for chunk in accepted)
        return accepted, accounts

    def _sift(self, samples: list[Samples], records: int, outbox: Outbox, accounts: Accounts) -> list[Chunk]:
        """Leave out what is late or a duplicate; move the partition's time on."""
        codes, producers = producers_of([each.chunk.batch for each in samples])
        times = [each.chunk.batch.column("event_time").to_numpy() for each in samples]
        clocks = self._observe(samples, records, codes, producers, times)
        accepted = []
        late_of = []
        for each, who, time in zip(samples, codes, times, strict=True):
            late = time < clocks.before[each.record] - self._lateness_ms
            late_of.append(late)
            for index, count in zip(*np.unique(who[late], return_counts=True), strict=True):
                name = producers[index][1] or self.partition
                accounts.late[self.topic, name] += int(count)
            keep = np.flatnonzero(~late)
            if self._settings.deduplicate:
                keep = self._first(each, time, keep, clocks)
                accounts.duplicate[self.topic] += int(len(late) - late.sum() - len(keep))
            if len(keep):
                accepted.append(_only(each.chunk, keep))
        outbox.faults = self._judge(samples, codes, producers, times, late_of, clocks)
        if self._time.time_ms is not None:
            self._duplicates.close(self._time.time_ms)
        return accepted

    def _observe(
        self,
        samples: list[Samples],
        records: int,
        codes: list[Ints],
        producers: list[Producer],
        times: list[Ints],
    ) -> _Clocks:
        nothing = [np.zeros(0, np.int64)]
        record = np.concatenate([*(each.record for each in samples), *nothing])
        producer, time = np.concatenate([*codes, *nothing]), np.concatenate([*times, *nothing])
        if len(samples) > 1:
            row = np.concatenate([each.chunk.batch.column("row").to_numpy() for each in samples])
            order = np.lexsort((row, record))
            record, producer, time = record[order], producer[order], time[order]
        before, after = observe_all(self._time, records, record, producer, producers, time)
        return _Clocks(*(np.array([_NO_TIME if at is None else at for at in ats]) for ats in (before, after)))

    def _first(self, each: Samples, time: Ints, keep: Ints, clocks: _Clocks) -> Ints:
        """Of the rows to keep, those that repeat no sample."""
        keys, known = keys_of(each.chunk, hashes_of(each.chunk.batch))
        asked = keep[known[keep]]
        bucket = time[asked] // self._bucket_ms * self._bucket_ms
        repeated = self._duplicates.repeated(keys[asked], bucket, clocks.before[each.record[asked]])
        return np.setdiff1d(keep, asked[repeated], assume_unique=True) if repeated.any() else keep

    def _judge(
        self,
        samples: list[Samples],
        codes: list[Ints],
        producers: list[Producer],
        times: list[Ints],
        late_of: list[Any],
        clocks: _Clocks,
    ) -> list[Any]:
        """Count late and far-ahead samples by minute and producer; faults of the minutes that ended."""
        minutes: dict[int, dict[int, Tally]] = {}
        for each, who, time, late in zip(samples, codes, times, late_of, strict=True):
            after = clocks.after[each.record]
            timed = after > _NO_TIME
            if not timed.all():  # a first record may leave the partition without a time
                who, time, late, after = who[timed], time[timed], late[timed], after[timed]
            ahead = ~late & (time > after + self._lateness_ms)
            skew = np.where(late | ahead, time - after, 0)
            minute = after // MINUTE_MS * MINUTE_MS
            known, place = np.unique(minute, return_inverse=True)
            code = place * len(producers) + who
            found, inverse = np.unique(code, return_inverse=True)
            totals = [np.bincount(inverse)]
            for column in (late, ahead, skew):
                total = np.zeros(len(found), np.int64)
                np.add.at(total, inverse, column.astype(np.int64))
                totals.append(total)
            for index, *counts in zip(found.tolist(), *(total.tolist() for total in totals), strict=True):
                held = minutes.setdefault(int(known[index // len(producers)]), {})
                tally = Tally(*counts)
                producer = index % len(producers)
                held[producer] = held[producer].plus(tally) if producer in held else tally
        return [
            fault
            for minute in sorted(minutes)
            for fault in self._faults.add(
                minute, [(producers[index], tally) for index, tally in minutes[minute].items()]
            )
        ]

    def _messages(self, position: int, outbox: Outbox) -> dict[int, Message]:
        """One message a shard; they move the chain on to ``position``."""
        after, self._position = self._position, position
        state: PartitionState = "idle" if self._timeless and self.state == "active" else self.state
        messages = {}
        for shard in range(self._settings.shards):
            first = shard == 0
            messages[shard] = Message(
                partition=self.partition,
                after=after,
                offset=position,
                time_ms=None if self._timeless else self._time.time_ms,
                state=state,
                partitions=self.partitions,
                cells=outbox.cells.get(shard),
                vectors=outbox.vectors.get(shard),
                changes=tuple(outbox.changes),
                faults=tuple(outbox.faults) if first else (),
                ledger=outbox.ledger,
                edges=tuple(outbox.edges) if first else (),
            )
        return messages

    def snapshot(self) -> bytes:
        """The state, versioned; `restore` reads it."""
        values = {
            "topic": self.topic,
            "partition": self.partition,
            "windows": [self._bucket_ms, self._lateness_ms],
            "next_offset": self.next_offset,
            "position": self._position,
            "state": self.state,
            "time": self._time.snapshot(),
            "faults": self._faults.snapshot(),
            "edges": self._topology.snapshot(),
        }
        return pack("intake", 1, values, self._duplicates.snapshot())

    @classmethod
    def restore(cls, data: bytes, settings: Settings) -> "Intake":
        """The intake a snapshot was taken of.

        Raises:
            StateError: not a snapshot, of another version, or of other buckets or lateness than the settings.
        """
        state = unpack("intake", _VERSIONS, data)
        values = state.values
        intake = cls(values["topic"], values["partition"], settings)
        windows = [intake._bucket_ms, intake._lateness_ms]
        if values["windows"] != windows:
            raise StateError(
                f"snapshot of {intake.partition} has bucket and lateness {values['windows']} ms, "
                f"the settings have {windows} ms: resume with the same windows, or start without state"
            )
        intake.next_offset, intake._position = values["next_offset"], values["position"]
        intake.state = values["state"]
        intake._time = PartitionTime.restore(values["time"], intake._lateness_ms)
        intake._faults.restore(values["faults"])
        intake._topology.restore(values["edges"])
        intake._duplicates.restore(state.arrays)
        return intake


def _only(chunk: Chunk, rows: Ints) -> Chunk:
    if len(rows) == chunk.batch.num_rows:
        return chunk
    return Chunk(chunk.topic, chunk.form, chunk.batch.take(pa.array(rows)))
