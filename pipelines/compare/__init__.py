"""``driftline compare``: two model versions on matched traffic, judged while the switch is under way."""

import sys
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Console

from operators.clickhouse import Store
from pipelines.compare.blocks import differences
from pipelines.compare.traffic import Identity, read
from pipelines.compare.verdict import Answer, Judged, answer, judge
from pipelines.config import resolve
from pipelines.errors import UsageError
from pipelines.times import unix_ms
from schemas.identity import IDENTITY_FIELDS

#: Probability that a verdict ever says "worse" of two sides that are the same.
ALPHA = 0.05

_FOREVER = 4_102_444_800_000  # 2100

__all__ = ["ALPHA", "Comparison", "command", "compare"]


class Comparison(Struct, frozen=True):
    """A verdict and what it stands on; ``matched_by``: the traffic fields of each topic and signal."""

    verdict: Answer
    reason: str
    baseline: dict[str, str]
    candidate: dict[str, str]
    statistics: tuple[Judged, ...]
    matched_by: dict[str, tuple[str, ...]]


def command(
    baseline: list[str],
    candidate: list[str],
    since: str | None,
    until: str | None,
    *,
    config: Path | None,
    clickhouse: str | None,
    as_json: bool,
) -> None:
    """Compare what the configured store holds of both sides, and print the verdict."""
    from pipelines.compare.view import show

    sides = _side("--baseline", baseline), _side("--candidate", candidate)
    begin = unix_ms("--since", since) if since else 0
    end = unix_ms("--until", until) if until else _FOREVER
    if begin >= end:
        raise UsageError("--since must lie before --until")
    with Store.open(resolve(config, clickhouse=clickhouse).clickhouse, make=False) as store:
        store.migrate()
        comparison = compare(store, *sides, begin, end)
    if as_json:
        sys.stdout.write(msgspec.json.encode(comparison).decode() + "\n")
    else:
        show(comparison, Console())


def _side(flag: str, texts: list[str]) -> dict[str, str]:
    side: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise UsageError(f"{flag}: {text!r} is not field=value")
        if name not in IDENTITY_FIELDS:
            raise UsageError(f"{flag}: {name!r} is no identity field; one of {', '.join(IDENTITY_FIELDS)}")
        if name in side:
            raise UsageError(f"{flag}: {name} is given twice")
        side[name] = value
    return side


def compare(
    store: Store, baseline: Identity, candidate: Identity, since: int = 0, until: int = _FOREVER
) -> Comparison:
    """Compare two sides over the closed buckets from ``since`` to before ``until`` (Unix ms).

    Raises:
        UsageError: the sides name different fields, or are the same.
    """
    if set(baseline) != set(candidate):
        raise UsageError(
            "--baseline and --candidate must name the same fields: "
            f"{', '.join(sorted(baseline)) or 'none'} and {', '.join(sorted(candidate)) or 'none'}"
        )
    if dict(baseline) == dict(candidate):
        raise UsageError("--baseline and --candidate are the same")
    rows = read(store, baseline, candidate, since, until)
    judged = judge([found for part in rows for found in differences(part)], ALPHA)
    verdict = answer(judged)
    return Comparison(
        verdict=verdict,
        reason=_reason(verdict, judged, bool(rows)),
        baseline=dict(baseline),
        candidate=dict(candidate),
        statistics=tuple(judged),
        matched_by={f"{part.topic} {part.signal}": part.by for part in rows},
    )


def _reason(verdict: Answer, judged: list[Judged], found: bool) -> str:
    if not found:
        return "no signal has buckets of both sides in that time (slices with these fields are needed)"
    if not judged:
        return "the two sides never served the same traffic at the same time for long enough"
    named = [f"{one.signal} {one.statistic}" for one in judged if one.finding == "worse"]
    if verdict == "roll back":
        return f"worse: {', '.join(named)}"
    if verdict == "go":
        return "harm beyond its margin is excluded for every statistic"
    waiting = [one for one in judged if one.finding == "undecided"]
    return f"{len(waiting)} of {len(judged)} statistics are undecided"
