"""The incident benchmark: every scenario and control on reporting seeds, ablations, and a severity sweep.

By name only: a reporting seed takes eight minutes of one core. ``DRIFTLINE_SEEDS`` sets how many (the
ablations and the sweep take fewer), ``DRIFTLINE_WORKERS`` how many processes. With ``DRIFTLINE_KEPT`` what
became of each timeline is kept in that folder, and taken from there by a later run of the same code;
``python -m benchmarks.incidents PART SEED…`` does nothing but that.
"""

import os
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from operators.settings import Settings
from pipelines.evaluate import report
from pipelines.evaluate import run as judged
from pipelines.evaluate.scoring import Judged
from pipelines.evaluate.seeds import reporting
from pipelines.evaluate.variants import Variant, variants
from pipelines.simulate.timeline import QUIET_S

SEEDS, ABLATED, SWEPT = 20, 3, 3
#: What each ablation should fail, and what it should not.
_OF_ABLATIONS = ("P01", "P04", "P06", "P07", "P09", "P11", "P14", "P22")
#: Faults by hardware, engine, answers and their share, swept over share, magnitude and duration (s).
_SWEPT = ("P01", "P09", "P12", "P13", "P23")
_SHARES, _MAGNITUDES, _DURATIONS = (0.008, 0.05, 0.16, 1.0), ("weak", "mid", "strong"), (600, 2400)
#: Between the faults of the sweep (s): enough for a series that returns to be another incident.
_QUIET_S = 2400.0

_SHOWN = (
    *("labels", "found", "in_time", "false_share", "chance", "median_delay_s", "median_lead_s"),
    *("pages", "false_pages", "false_pages_per_day", "false_pages_per_series_day", "info_incidents_per_day"),
    *("series", "days", "symptom_kappa", "layer_kappa", "action_right", "root_right"),
)
#: One shard, as in `pipelines.evaluate.evaluate`.
_WHOLE = Settings(shards=1)


def headline(seeds: Sequence[int]) -> dict[str, Any]:
    """All scenarios and controls at their middle severity."""
    result = report(_part("headline", seeds)[0])
    summary = result["summary"]
    between = summary["intervals"]
    return {
        "headline": [
            {"figure": name, "value": summary[name], "95 %": _range(between.get(name))} for name in _SHOWN
        ],
        "scenarios": dict(sorted(result["scenarios"].items())),
    }


def ablations(seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Figures with a part left out, and which scenarios are then missed in every seed."""
    found = {}
    for name, by_seed in zip(variants(_WHOLE), _part("ablations", seeds), strict=True):
        result = report(by_seed)
        summary, between = result["summary"], result["summary"]["intervals"]
        missed = [scenario for scenario, figures in result["scenarios"].items() if not figures["in_time"]]
        brief: dict[str, Any] = {"labels": summary["labels"]}
        for figure in ("in_time", "false_share", "median_lead_s"):
            brief |= {figure: summary[figure], f"{figure} 95 %": _range(between[figure])}
        brief |= {key: summary[key] for key in ("symptom_kappa", "layer_kappa", "action_right", "root_right")}
        found[name] = brief | {"never in time": ", ".join(missed)}
    return found


def sweep(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """In time by share, duration and magnitude: where detection ends. The last column: of all scenarios."""
    by_seed = _part("sweep", seeds)[0]
    outcomes = [outcome for each in by_seed.values() for one in each for outcome in one.outcomes]
    rows = []
    for share, seconds, magnitude in product(_SHARES, _DURATIONS, _MAGNITUDES):
        row: dict[str, Any] = {"share": share, "duration_s": seconds, "magnitude": magnitude}
        every = []
        for name in _SWEPT:
            asked = (name, share, seconds * 1000, magnitude)
            flags = [each.in_time for each in outcomes if _asked(each.label) == asked]
            row[name] = sum(flags) / len(flags) if flags else None
            every += flags
        rows.append(row | {"all": sum(every) / len(every) if every else None})
    return rows


def run() -> dict[str, Any]:
    """Headline, ablations and sweep."""
    count = int(os.environ.get("DRIFTLINE_SEEDS", SEEDS))
    return headline(reporting(count)) | {
        "ablations": ablations(reporting(min(count, ABLATED))),
        "sweep": sweep(reporting(min(count, SWEPT))),
        "seeds": {"headline": count, "ablations": min(count, ABLATED), "sweep": min(count, SWEPT)},
    }


def _part(part: str, seeds: Sequence[int]) -> list[dict[int, list[Judged]]]:
    """One part of the table, by variant and seed."""
    known, workers = os.environ.get("DRIFTLINE_KEPT"), os.environ.get("DRIFTLINE_WORKERS")
    scenarios, chosen = _orders(part)
    return judged(
        scenarios,
        seeds,
        chosen,
        twins=part == "headline",
        quiet_s=_QUIET_S if part == "sweep" else QUIET_S,
        known=Path(known) if known else None,
        workers=int(workers) if workers else None,
    )


def _orders(part: str) -> tuple[Sequence[str], Sequence[Variant]]:
    """Scenarios and variants of a part."""
    if part == "headline":
        return ["all"], [Variant(_WHOLE)]
    if part == "ablations":
        return _OF_ABLATIONS, list(variants(_WHOLE).values())
    grid = product(_SWEPT, _SHARES, _DURATIONS, _MAGNITUDES)
    swept = [f"{name}:{how}:share={share}:duration={seconds}" for name, share, seconds, how in grid]
    return swept, [Variant(_WHOLE)]


def _asked(label: Any) -> tuple[str, float, int, str]:
    return label.scenario, label.share, label.end - label.onset, label.magnitude


def _range(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3g} to {interval[1]:.3g}"


if __name__ == "__main__":
    _part(sys.argv[1], list(map(int, sys.argv[2:])))
