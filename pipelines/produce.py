"""``driftline produce``: a folder of recorded telemetry into Kafka, partition by partition as it lies there.

The pipeline's own reader says which partition is next, so that those who follow the topics meanwhile see all
of them move on together, as they did when they were recorded.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from operators.adapters.files import FileSource
from operators.adapters.kafka import KafkaOptions, OutRecord, connect, connect_producer
from operators.adapters.reader import Reader
from operators.adapters.source import Batch
from operators.settings import Settings
from operators.store_errors import SinkError
from pipelines.errors import UsageError

#: Sent at once under a rate: what is due in this time.
_BEAT_S = 0.1


def produce(
    folder: Path,
    options: KafkaOptions,
    library: str,
    *,
    rate: float | None = None,
    told: Callable[[int], None] = lambda sent: None,
) -> Counter[str]:
    """Send every record of a folder once; returns how many by topic.

    Args:
        folder: laid out as ``driftline run --input`` takes it.
        options: how the broker is reached.
        library: name of the client library.
        rate: records a second at most; None: as fast as the broker takes them.
        told: called with how many are sent so far.

    Raises:
        SourceError: the folder or the broker cannot be read.
        UsageError: the broker lacks a topic, or has too few partitions of it.
        SinkError: the broker did not take it all; what came before it has arrived.
    """
    source = _Sending(folder, options, library, rate, told)
    try:
        reader = Reader(source, Settings(), until_end=True)
        source.check()
        while not reader.finished:
            reader.step(time.monotonic())
    finally:
        source.close()
    return source.sent


class _Sending(FileSource):
    """A folder whose records go to Kafka as they are read."""

    def __init__(
        self,
        folder: Path,
        options: KafkaOptions,
        library: str,
        rate: float | None,
        told: Callable[[int], None],
    ) -> None:
        super().__init__(folder, follow=False)
        self.sent: Counter[str] = Counter()
        self._options = options
        self._library = library
        self._rate = rate
        self._told = told
        self._producer = connect_producer(library, options)
        self._began = time.monotonic()

    def check(self) -> None:
        """Whether the broker has every partition of the folder."""
        wanted = {(part.topic, int(part.name.rpartition("/")[2])) for part in self.partitions()}
        client = connect(self._library, self._options)
        try:
            missing = wanted - set(client.partitions(sorted({topic for topic, _ in wanted})))
        finally:
            client.close()
        if missing:
            names = ", ".join(f"{topic}/{number}" for topic, number in sorted(missing))
            raise UsageError(f"the broker has no {names}; `driftline topics create` makes the topics")

    def poll(self, ready: Sequence[str], timeout_s: float) -> Sequence[Batch]:
        """The next records, which are on the broker by now."""
        batches = super().poll(ready, timeout_s)
        for batch in batches:
            number = int(batch.partition.rpartition("/")[2])
            self._send([OutRecord(one.topic, None, [], one.value, number) for one in batch.records])
        return batches

    def close(self) -> None:
        """Leave the broker."""
        super().close()
        self._producer.close()

    def _send(self, records: Sequence[OutRecord]) -> None:
        most = len(records) if self._rate is None else max(1, int(self._rate * _BEAT_S))
        for first in range(0, len(records), most):
            due = records[first : first + most]
            if failed := self._producer.deliver(due):
                why = failed[min(failed)]
                raise SinkError(f"kafka://{self._options.servers}: {len(failed)} records not taken: {why}")
            self.sent.update(record.topic for record in due)
            self._told(self.sent.total())
            if self._rate is not None:
                time.sleep(max(0.0, self._began + self.sent.total() / self._rate - time.monotonic()))
