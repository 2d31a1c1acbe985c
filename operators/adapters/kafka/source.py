"""Kafka's topics as a source. Partitions are assigned by hand: the engine's state says who reads what."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

from operators.adapters.kafka.client import KafkaClient, TopicPartition, connect
from operators.adapters.kafka.options import KafkaOptions
from operators.adapters.source import Batch, Partition, SourceError

#: How often end offsets (and so whether the broker answers) are asked for, and new partitions looked for.
ASK_EVERY_S = 2.0
DISCOVER_EVERY_S = 30.0
#: How often it is said that the broker does not answer.
TELL_EVERY_S = 30.0

log = logging.getLogger(__name__)


class KafkaSource:
    """The partitions of the given topics.

    Args:
        options: how the broker is reached.
        topics: canonical topic names; those that do not exist are waited for.
        client: name of the client library.
        part: ``(index, of)``: only the partitions of that share, for readers that share the topics.
        clock: monotonic wall clock in seconds.
    """

    def __init__(
        self,
        options: KafkaOptions,
        topics: Sequence[str],
        *,
        client: str = "kafka-python",
        part: tuple[int, int] = (0, 1),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client: KafkaClient = connect(client, options)
        self._topics = tuple(topics)
        self._part = part
        self._clock = clock
        self._assigned: dict[str, TopicPartition] = {}
        self._elsewhere: dict[str, str] = {}
        self._ends_at_start: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._connected = True  # the client would not be there else
        self._asked_s = self._discovered_s = self._told_s = float("-inf")

    def partitions(self) -> Sequence[Partition]:
        """Every partition of the topics, asked of the broker at most every half minute.

        One that is away, or goes away before new ones are taken in, is asked again later; only at first that
        is a `SourceError`.
        """
        now = self._clock()
        if now - self._discovered_s >= DISCOVER_EVERY_S:
            first, self._discovered_s = self._discovered_s == float("-inf"), now
            try:
                there = self._client.partitions(self._topics)
                self._take_in(there)
            except SourceError as problem:
                if first:
                    raise
                self._away(problem)
            else:
                if first and not there:
                    topics = ", ".join(self._topics)
                    log.warning(
                        "none of the topics is there (driftline topics create makes them): %s", topics
                    )
        here = [Partition(topic, name) for name, (topic, _) in self._assigned.items()]
        return here + [Partition(topic, name, here=False) for name, topic in self._elsewhere.items()]

    def seek(self, positions: Mapping[str, int]) -> None:
        """Read on from these offsets."""
        self._assign(self._assigned, positions)

    def poll(self, ready: Sequence[str], timeout_s: float) -> Sequence[Batch]:
        """Whatever the broker has for the ready partitions; the others are paused."""
        self._client.begun = True
        paused = [partition for name, partition in self._assigned.items() if name not in set(ready)]
        found = self._client.poll(paused, timeout_s)
        names = {partition: name for name, partition in self._assigned.items()}
        return [
            Batch(names[key], records, records[-1].offset + 1) for key, records in found.items() if records
        ]

    def position(self, partition: str) -> int:
        """The next offset: what the group committed, where reading began otherwise."""
        return self._client.position(self._assigned[partition])

    def at_end(self, partition: str) -> bool:
        """Whether the position is at the log's end; False also while the broker does not answer."""
        self._ask()
        end = self._ends.get(partition)
        return end is not None and self._client.position(self._assigned[partition]) >= end

    def ended(self, partition: str) -> bool:
        """Whether all that was there at the start is read."""
        return self._client.position(self._assigned[partition]) >= self._ends_at_start[partition]

    def lag(self, partition: str) -> int | None:
        """Records behind the position; None while the broker does not answer."""
        self._ask()
        end = self._ends.get(partition)
        return None if end is None else max(0, end - self._client.position(self._assigned[partition]))

    @property
    def connected(self) -> bool:
        """Whether the broker said where its partitions end when it was asked last."""
        self._ask()
        return self._connected

    def commit(self, positions: Mapping[str, int]) -> None:
        """Commit next offsets for the consumer group; the next commit makes up for one that fails."""
        mine = {self._assigned[name]: offset for name, offset in positions.items() if name in self._assigned}
        if not mine:
            return
        try:
            self._client.commit(mine)
        except SourceError as problem:
            self._away(problem)

    def close(self) -> None:
        """Leave the broker."""
        self._client.close()

    def _take_in(self, there: Sequence[TopicPartition]) -> None:
        index, of = self._part
        known = {f"{topic}/{number}": (topic, number) for topic, number in there}
        fresh = {name: where for name, where in known.items() if _share(where, of) == index}
        self._elsewhere = {name: topic for name, (topic, _) in known.items() if name not in fresh}
        if fresh.keys() - self._assigned.keys():
            self._assign(fresh | self._assigned)

    def _assign(
        self, partitions: Mapping[str, TopicPartition], positions: Mapping[str, int] | None = None
    ) -> None:
        fresh = [where for name, where in partitions.items() if name not in self._ends_at_start]
        ends = self._client.ends(fresh) if fresh else {}
        known = {name: self._client.position(where) for name, where in self._assigned.items()}
        wanted = known | dict(positions or {})
        self._client.assign({where: wanted.get(name) for name, where in partitions.items()})
        self._ends_at_start |= {f"{topic}/{number}": end for (topic, number), end in ends.items()}
        self._assigned = dict(partitions)

    def _ask(self) -> None:
        now = self._clock()
        if now - self._asked_s < ASK_EVERY_S:
            return
        self._asked_s = now
        try:
            ends = self._client.ends(list(self._assigned.values()))
        except SourceError as problem:
            self._ends, self._connected = {}, False
            self._away(problem)
        else:
            self._ends = {f"{topic}/{number}": end for (topic, number), end in ends.items()}
            if not self._connected:
                self._connected, self._told_s = True, float("-inf")
                log.warning("kafka answers again")

    def _away(self, problem: SourceError) -> None:
        """Say what fails while the broker is away, at once and then every so often."""
        now = self._clock()
        if now - self._told_s >= TELL_EVERY_S:
            self._told_s = now
            log.warning("%s", problem)


def _share(where: TopicPartition, of: int) -> int:
    # by the partition alone, so that one that is added later moves none of the others
    topic, number = where
    return (crc32(topic.encode()) + number) % of
