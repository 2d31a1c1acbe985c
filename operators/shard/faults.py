"""Producers whose clock or delivery is off, as findings: late or far-ahead samples are a telemetry fault."""

from collections.abc import Mapping, Sequence
from typing import Any

from operators.lifecycle import Finding
from operators.message import ProducerFault
from operators.series import SeriesKey
from operators.shard.statistics import HEARTBEAT

DETECTOR = "clock/1"
#: Share of a producer's samples that makes it faulty.
_MOST = 0.5
#: Windows of it that wake somebody: a replay or a backlog is over sooner.
_LASTS = 5


def fault_findings(faults: Sequence[ProducerFault], episodes: Mapping[Any, Any]) -> list[Finding]:
    """Findings of one window: one per faulty producer, and a calm one for those faulty before."""
    found: dict[SeriesKey, Finding] = {}
    for fault in sorted(faults, key=lambda fault: (fault.minute_ms, fault.partition, fault.producer)):
        statistic = "late_ratio" if fault.late >= fault.ahead else "ahead_ratio"
        key = SeriesKey(
            fault.topic, HEARTBEAT, statistic, None, ((fault.field, fault.producer),), "counter", "1"
        )
        before = episodes.get(("clock", key))
        lasts = before is not None and before.alarms + 1 >= _LASTS
        found[key] = _finding(fault, key, max(fault.late, fault.ahead) / fault.samples, lasts=lasts)
    calm = [key for source, key in episodes if source == "clock" and key not in found]
    return [*found.values(), *(_calm(key) for key in calm)]


def _finding(fault: ProducerFault, key: SeriesKey, ratio: float, *, lasts: bool) -> Finding:
    return Finding(
        "clock",
        key,
        DETECTOR,
        alarm=True,
        score=ratio,
        threshold=_MOST,
        p_value=None,
        observed=ratio,
        expected=0.0,
        low=0.0,
        high=_MOST,
        samples=fault.samples,
        direction=1,
        kind="degradation",
        # most of the partition's producers: a replay
        severity="info" if fault.partition_wide or not lasts else "warning",
        symptom="telemetry_fault",
        attributes=(
            ("driftline.partition", fault.partition),
            ("driftline.skew_s", f"{fault.skew_s:.1f}"),
        ),
    )


def _calm(key: SeriesKey) -> Finding:
    return Finding("clock", key, DETECTOR, False, 0.0, _MOST, None, 0.0, 0.0, 0.0, _MOST, 0)
