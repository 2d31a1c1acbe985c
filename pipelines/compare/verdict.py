"""From matched differences to go, hold or roll back.

Every statistic stands for itself: one that gets better pays for none that gets worse. A statistic is *worse*
once its interval excludes that nothing happened and the change is more than its margin; *safe* once the
interval excludes a harm beyond the margin. Bounds hold for all statistics together (Bonferroni).
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from operators.lifecycle.meaning import Worse, meaning, unit
from operators.series import SeriesKey
from pipelines.compare.blocks import Differences
from pipelines.compare.sequential import Interval, blocks_until, interval
from schemas.signals import SIGNALS

Answer = Literal["go", "hold", "roll back"]
Finding = Literal["worse", "better", "safe", "undecided"]

#: Harm below this share of the baseline's level matters to nobody, whatever the unit.
MARGIN = 0.05
#: And below this much of a ratio, which may have a level of nothing.
RATIO_MARGIN = 0.005


class Judged(Struct, frozen=True):
    """One statistic: both levels, the interval of their difference, and what it means."""

    topic: str
    signal: str
    statistic: str
    unit: str
    baseline: float
    candidate: float
    difference: float
    low: float | None
    high: float | None
    margin: float
    finding: Finding
    blocks: int
    samples: tuple[int, int]
    blocks_needed: int | None


def judge(all_differences: Sequence[Differences], alpha: float) -> list[Judged]:
    """Every statistic that some direction of makes worse, the worst findings first."""
    judged = []
    directed = [(d, key) for d in all_differences if meaning(key := _key(d)).worse is not None]
    for difference, key in directed:
        change = difference.candidate - difference.baseline
        within = interval(change, alpha / len(directed))
        level = float(difference.baseline.mean())
        floor = RATIO_MARGIN if unit(key) == "1" and 0 <= level <= 1 else 0.0
        margin = max(MARGIN * abs(level), floor)
        finding = _finding(within, meaning(key).worse, margin)
        known = within.low > float("-inf")
        judged.append(
            Judged(
                topic=difference.statistic.topic,
                signal=difference.statistic.signal,
                statistic=difference.statistic.name,
                unit=unit(key),
                baseline=level,
                candidate=float(difference.candidate.mean()),
                difference=within.mean,
                low=within.low if known else None,
                high=within.high if known else None,
                margin=margin,
                finding=finding,
                blocks=within.blocks,
                samples=difference.samples,
                blocks_needed=blocks_until(change, alpha / len(directed), margin)
                if finding == "undecided"
                else None,
            )
        )
    order: tuple[Finding, ...] = ("worse", "undecided", "better", "safe")
    return sorted(judged, key=lambda j: (order.index(j.finding), j.signal, j.statistic))


def answer(judged: Sequence[Judged]) -> Answer:
    """Roll back on any harm, go when harm is excluded everywhere, hold otherwise."""
    findings = {one.finding for one in judged}
    if "worse" in findings:
        return "roll back"
    return "go" if findings and "undecided" not in findings else "hold"


def _finding(within: Interval, worse: Worse, margin: float) -> Finding:
    low, high, mean = within.low, within.high, within.mean
    if worse == -1:
        low, high, mean = -high, -low, -mean
    if worse == 0:
        if (low > 0 or high < 0) and abs(mean) >= margin:
            return "worse"
        return "safe" if low > -margin and high < margin else "undecided"
    if low > 0 and mean >= margin:
        return "worse"
    if high < 0 and -mean >= margin:
        return "better"
    return "safe" if high < margin else "undecided"


def _key(difference: Differences) -> SeriesKey:
    statistic = difference.statistic
    kind = SIGNALS[statistic.signal].kind
    return SeriesKey(statistic.topic, statistic.signal, statistic.name, None, (), kind, statistic.unit)
