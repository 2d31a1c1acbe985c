"""`Shard` as a stateful DoFn: Beam keeps a snapshot and the packets since, memory keeps the shard itself.

Each element only appends its packet and a new stamp. When the packets outgrow the snapshot they are folded
into a new one, so state costs a constant factor however long the job runs. A shard in memory is used only if
it carries the stamp that Beam's state carries; after a failover it does not, and is restored: the snapshot,
then the packets once more, their emissions being out already.
"""
# mypy: allow-untyped-calls

import logging
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec

from operators.adapters.beam.codec import Handout, decode_packet, encode_handout
from operators.adapters.beam.process import Live, process
from operators.adapters.beam.totals import Totals, decode_totals, encode_totals
from operators.adapters.drive import done_to, drive
from operators.adapters.metering import tell_shard
from operators.emission import Emission
from operators.meters import STATE_BYTES
from operators.settings import Settings
from operators.shard import Shard
from operators.state import StateError

_logger = logging.getLogger(__name__)

#: Below this many bytes of packets no snapshot is taken.
MIN_LOG_BYTES = 4 * 2**20
#: A restore never has to take in more elements than this.
MAX_LOG_COUNT = 2000
#: Totals are told whenever windows close, and otherwise at least this often (wall seconds).
TELL_EVERY_S = 10.0
#: First byte of every stamp: how the state is laid out. The snapshot in it has a version of its own.
LAYOUT = b"\x01"


class ShardDoFn(beam.DoFn):
    """(shard index, packet) to handouts, all as bytes.

    Args:
        settings: of the core.
        job_id: of the run.
        learnt: snapshots that shards without state begin with, by index.
    """

    STAMP = ReadModifyWriteStateSpec("stamp", BytesCoder())
    SNAPSHOT = ReadModifyWriteStateSpec("snapshot", BytesCoder())
    TOTALS = ReadModifyWriteStateSpec("totals", BytesCoder())
    LOG = BagStateSpec("messages", BytesCoder())

    def __init__(self, settings: Settings, job_id: str, learnt: Mapping[int, bytes]) -> None:
        self._settings = settings
        self._job_id = job_id
        self._learnt = learnt

    def process(
        self,
        element: tuple[int, bytes],
        stamp: Any = beam.DoFn.StateParam(STAMP),  # noqa: B008
        snapshot: Any = beam.DoFn.StateParam(SNAPSHOT),  # noqa: B008
        totals: Any = beam.DoFn.StateParam(TOTALS),  # noqa: B008
        log: Any = beam.DoFn.StateParam(LOG),  # noqa: B008
    ) -> Iterator[bytes]:
        """Drive the shard through the packet; keep Beam's state equal to it."""
        index, packed = element
        known = stamp.read()
        live = self._live(index, known, snapshot, totals, log)
        if not known:
            totals.write(encode_totals(live.totals))  # which run the log belongs to, before any snapshot
        live.stamp = LAYOUT + os.urandom(8)  # first: should this bundle fail, memory fits no state any more
        another = live.totals.run_id != self._job_id
        if another:  # stopped with a savepoint and resumed: what the run before counted is told a last time
            yield encode_handout(Handout(Emission(index), totals=live.totals))
            live.totals = Totals(run_id=self._job_id, shard=index)
        handed_out = _take(live, packed)
        for emission in handed_out:
            yield encode_handout(Handout(emission))
        live.log_bytes += len(packed)
        live.log_count += 1
        outgrown = live.log_bytes > max(MIN_LOG_BYTES, live.snapshot_bytes)
        if another or outgrown or live.log_count > MAX_LOG_COUNT:
            data = live.shard.snapshot()
            snapshot.write(data)
            totals.write(encode_totals(live.totals))
            log.clear()
            live.snapshot_bytes, live.log_bytes, live.log_count = len(data), 0, 0
        else:
            log.add(packed)
        stamp.write(live.stamp)
        reached = done_to(live.shard)
        moved = reached is not None and reached != live.done_to
        live.done_to = reached
        now = time.monotonic()
        if handed_out or moved or live.shard.clock.exhausted or now - live.told_s >= TELL_EVERY_S:
            live.told_s = now
            meters = process(self._job_id).meters
            tell_shard(meters, live.shard)
            meters.set(STATE_BYTES, live.snapshot_bytes + live.log_bytes, str(index))
            yield encode_handout(Handout(Emission(index), reached if moved else None, live.totals))

    def _live(self, index: int, stamp: bytes | None, snapshot: Any, totals: Any, log: Any) -> Live:
        shards = process(self._job_id).shards
        live = shards.get(index)
        if live is not None and live.stamp == stamp:
            return live
        data = counted = None
        if stamp:
            if stamp[:1] != LAYOUT:
                raise StateError(
                    f"state of shard {index} has layout {stamp[0]}; this driftline reads {LAYOUT[0]}: "
                    "resume with the version that wrote it, or start without a savepoint"
                )
            data, counted = snapshot.read(), totals.read()
        begun = data or self._learnt.get(index)
        shard = Shard.restore(begun, self._settings) if begun else Shard(index, self._settings)
        known = decode_totals(counted) if counted else Totals(run_id=self._job_id, shard=index)
        live = Live(shard, stamp or b"", known, snapshot_bytes=len(data or b""))
        for packed in log.read() if stamp else ():
            _take(live, packed)
            live.log_bytes += len(packed)
            live.log_count += 1
        live.done_to = done_to(shard)
        if stamp:
            fields = {"shard": index, "snapshot_bytes": live.snapshot_bytes, "replayed": live.log_count}
            _logger.info("shard %d is restored", index, extra=fields)
        shards[index] = live
        return live


def _take(live: Live, packed: bytes) -> list[Emission]:
    packet = decode_packet(packed)
    emissions = [emission for message in packet.messages for emission in drive(live.shard, message)]
    live.totals.add(packet.counts)
    for emission in emissions:
        live.totals.count(emission)
    live.totals.see(live.shard)
    return emissions
