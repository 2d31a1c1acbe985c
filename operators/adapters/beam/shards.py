"""`Shard` as a stateful DoFn: Beam keeps a snapshot and the messages since, memory keeps the shard itself.

Each bundle only appends its messages and a new stamp. When the messages outgrow the snapshot they are folded
into a new one, so state costs a constant factor however long the job runs. A shard in memory is used only if
it carries the stamp that Beam's state carries; after a failover it does not, and is restored: the snapshot,
then the messages once more, their emissions being out already.
"""
# mypy: allow-untyped-calls

import os
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.metrics.metric import Metrics
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec

from operators.adapters.beam.codec import decode_messages, encode_emission
from operators.adapters.beam.process import Live, process
from operators.adapters.beam.sinks import NAMESPACE
from operators.adapters.drive import done_to, drive, series_of
from operators.emission import Emission
from operators.settings import Settings
from operators.shard import Shard

#: Below this many bytes of messages no snapshot is taken.
MIN_LOG_BYTES = 4 * 2**20
#: A restore never has to take in more elements than this.
MAX_LOG_COUNT = 2000


class ShardDoFn(beam.DoFn):
    """(shard index, encoded messages) to encoded emissions."""

    STAMP = ReadModifyWriteStateSpec("stamp", BytesCoder())
    SNAPSHOT = ReadModifyWriteStateSpec("snapshot", BytesCoder())
    LOG = BagStateSpec("messages", BytesCoder())

    def __init__(self, settings: Settings, job_id: str) -> None:
        self._settings = settings
        self._job_id = job_id

    def process(
        self,
        element: tuple[int, bytes],
        stamp: Any = beam.DoFn.StateParam(STAMP),  # noqa: B008
        snapshot: Any = beam.DoFn.StateParam(SNAPSHOT),  # noqa: B008
        log: Any = beam.DoFn.StateParam(LOG),  # noqa: B008
    ) -> Iterator[bytes]:
        """Drive the shard through the messages; keep Beam's state equal to it."""
        index, packed = element
        live = self._live(index, stamp.read(), snapshot, log)
        live.stamp = os.urandom(8)  # first: should this bundle fail, what is in memory fits no state any more
        for message in decode_messages(packed):
            for emission in drive(live.shard, message):
                yield encode_emission(emission, None)
        live.log_bytes += len(packed)
        live.log_count += 1
        if live.log_bytes > max(MIN_LOG_BYTES, live.snapshot_bytes) or live.log_count > MAX_LOG_COUNT:
            data = live.shard.snapshot()
            snapshot.write(data)
            log.clear()
            live.snapshot_bytes, live.log_bytes, live.log_count = len(data), 0, 0
        else:
            log.add(packed)
        stamp.write(live.stamp)
        Metrics.counter(NAMESPACE, "series").inc(series_of(live.shard) - live.series)
        live.series = series_of(live.shard)
        reached = done_to(live.shard)
        if reached is not None and reached != live.done_to:
            live.done_to = reached
            yield encode_emission(Emission(index), reached)

    def _live(self, index: int, stamp: bytes | None, snapshot: Any, log: Any) -> Live:
        shards = process(self._job_id).shards
        live = shards.get(index)
        if live is not None and live.stamp == stamp:
            return live
        data = snapshot.read() if stamp else None
        shard = Shard.restore(data, self._settings) if data else Shard(index, self._settings)
        live = Live(shard, stamp or b"", snapshot_bytes=len(data or b""))
        for packed in log.read() if stamp else ():
            for message in decode_messages(packed):
                drive(shard, message)
            live.log_bytes += len(packed)
            live.log_count += 1
        live.series, live.done_to = series_of(shard), done_to(shard)
        shards[index] = live
        return live
