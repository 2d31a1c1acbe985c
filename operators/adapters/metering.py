"""What deliveries, emissions and shards come to in meters, the same on every engine."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import get_args

from operators import meters as of
from operators.adapters.drive import series_of
from operators.adapters.source import Source
from operators.emission import Emission
from operators.intake import Accounts, Delivery, Intake
from operators.message import PartitionState, ProducerFault
from operators.meters import Meters
from operators.shard import Shard

#: Producers that one line of the log names.
_NAMED = 5


def tell_delivery(meters: Meters, topic: str, records: int, delivery: Delivery) -> None:
    """Count what came of some records."""
    meters.add(of.RECORDS, records, topic)
    meters.observe(of.BATCH_RECORDS, records, topic)
    _tell_accounts(meters, delivery.accounts)
    faults = delivery.messages[0].faults if delivery.messages else ()
    if faults:
        meters.add(of.PRODUCER_FAULTS, len(faults), topic)


def _tell_accounts(meters: Meters, accounts: Accounts) -> None:
    for outcome in ("accepted", "duplicate"):
        for topic, samples in getattr(accounts, outcome).items():
            if samples:
                meters.add(of.SAMPLES, samples, topic, outcome, "")
    for (topic, reason), samples in accounts.refused.items():
        meters.add(of.SAMPLES, samples, topic, "refused", reason)
    # by name or producer there would be as many series as senders like
    for outcome in ("ignored", "late"):
        for (topic, _), samples in getattr(accounts, outcome).items():
            meters.add(of.SAMPLES, samples, topic, outcome, "")
    for (topic, _), fields in accounts.unknown_fields.items():
        meters.add(of.UNKNOWN_FIELDS, fields, topic)


def described(faults: Sequence[ProducerFault]) -> str:
    """Whose clocks or deliveries are wrong, as far as a line of the log holds them."""
    wrong = [
        f"{fault.producer} {fault.late} late and {fault.ahead} ahead of {fault.samples}, "
        f"off by {fault.skew_s:.0f} s"
        for fault in faults[:_NAMED]
    ]
    more = f"; {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    return f"most samples of a minute late or far ahead: {'; '.join(wrong)}{more}"


def tell_reading(
    meters: Meters, source: Source, intakes: Iterable[Intake], quiet_s: float, watermark_ms: int | None
) -> None:
    """Say where the partitions of a source stand; asks it for each.

    Args:
        meters: told.
        source: read just now.
        intakes: of the partitions read here.
        quiet_s: for how long there has been ``no_data``; 0 while there is some.
        watermark_ms: of all of them, Unix ms.
    """
    now = round(time.time())
    meters.set(of.TURN, now, "reading")
    meters.set(of.SOURCE_UP, int(source.connected))
    meters.set(of.NO_DATA, int(quiet_s))
    if watermark_ms is not None:
        meters.set(of.WATERMARK_DELAY, max(0, now - watermark_ms // 1000))
    states: Counter[PartitionState] = Counter()
    for intake in intakes:
        states[intake.state] += 1
        lag = source.lag(intake.partition)
        if lag is None:
            meters.forget(of.LAG, intake.topic, intake.partition)
        else:
            meters.set(of.LAG, lag, intake.topic, intake.partition)
        if intake.time_ms is not None:
            meters.set(of.PARTITION_TIME, intake.time_ms // 1000, intake.topic, intake.partition)
    for state in get_args(PartitionState):
        meters.set(of.PARTITIONS, states[state], state)


def forget_partition(meters: Meters, topic: str, partition: str) -> None:
    """The partition is read elsewhere from now on."""
    for meter in (of.LAG, of.PARTITION_TIME):
        meters.forget(meter, topic, partition)


def tell_emission(meters: Meters, emission: Emission) -> None:
    """Count what a shard hands out."""
    for event in emission.events:
        if event.revision == 0:
            meters.add(of.EVENTS, 1, event.kind)
    for meter, rows in (
        (of.REVISIONS, len(emission.events)),
        (of.WINDOWS, len(emission.windows)),
        (of.BUCKETS, emission.buckets.num_rows if emission.buckets is not None else 0),
    ):
        if rows:
            meters.add(meter, rows)
    for topic, samples in emission.late.items():
        meters.add(of.AFTER_IDLE, samples, topic)


def tell_shard(meters: Meters, shard: Shard) -> None:
    """Say what a shard holds."""
    meters.set(of.OPEN_BUCKETS, shard.open_buckets, str(shard.index))
    meters.set(of.SERIES, series_of(shard), str(shard.index))
    warming, left_s = shard.evaluation.bank.warming()
    meters.set(of.WARMING, warming, str(shard.index))
    meters.set(of.WARM_IN, round(left_s), str(shard.index))


def forget_shard(meters: Meters, index: int) -> None:
    """The shard is kept elsewhere from now on."""
    for meter in (of.OPEN_BUCKETS, of.SERIES, of.WARMING, of.WARM_IN, of.STATE_BYTES):
        meters.forget(meter, str(index))
