"""The incident benchmark: every scenario and control on reporting seeds, ablations, and a severity sweep.

By name only: the headline takes hours on few cores. ``DRIFTLINE_SEEDS`` sets how many reporting seeds, the
ablations and the sweep take fewer.
"""

import os
from collections.abc import Sequence
from typing import Any

from operators.settings import Settings
from pipelines.evaluate import report
from pipelines.evaluate import run as judged
from pipelines.evaluate.seeds import reporting
from pipelines.evaluate.variants import VARIANTS

SEEDS, ABLATED, SWEPT = 20, 3, 3
#: What each ablation should fail, and what it should not.
_OF_ABLATIONS = ("P01", "P04", "P06", "P07", "P08", "P09", "P11", "P12", "P14", "P15", "P22")
#: Faults by hardware, engine, answers and their share, swept over share, magnitude and duration (s).
_SWEPT = ("P01", "P09", "P12", "P13", "P23")
_SHARES, _MAGNITUDES, _DURATIONS = (0.008, 0.05, 0.16, 0.5, 1.0), ("weak", "mid", "strong"), (600, 5400)

_SHOWN = (
    *("labels", "found", "in_time", "false_share", "chance", "pages", "false_pages", "false_pages_per_day"),
    *("false_pages_per_series_day", "info_incidents_per_day", "series", "days"),
    *("symptom_kappa", "layer_kappa", "action_right", "root_right"),
)


def headline(seeds: Sequence[int]) -> dict[str, Any]:
    """The headline: all scenarios and controls."""
    result = report(judged(["all"], seeds, Settings()))
    summary = result["summary"]
    between = summary["intervals"]
    return {
        "headline": [
            {"figure": name, "value": summary[name], "95 %": _range(between.get(name))} for name in _SHOWN
        ],
        "by magnitude": summary["by_magnitude"],
        "scenarios": dict(sorted(result["scenarios"].items())),
    }


def ablations(seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Figures with a part left out, and which scenarios are then missed in every seed."""
    found = {}
    for name, variant in VARIANTS.items():
        outcome = judged(_OF_ABLATIONS, seeds, variant.settings(Settings()), without=variant.without)
        result = report(outcome)
        missed = [scenario for scenario, figures in result["scenarios"].items() if not figures["in_time"]]
        brief = {
            key: result["summary"][key]
            for key in ("in_time", "false_share", "symptom_kappa", "layer_kappa", "action_right")
        }
        found[name] = brief | {"never in time": ", ".join(missed)}
    return found


def sweep(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """In time by share x magnitude x duration: where detection ends."""
    rows = []
    for share in _SHARES:
        for seconds in _DURATIONS:
            for magnitude in _MAGNITUDES:
                orders = [f"{name}:{magnitude}:share={share}:duration={seconds}" for name in _SWEPT]
                scenarios = report(judged(orders, seeds, Settings()))["scenarios"]
                row: dict[str, Any] = {"share": share, "duration_s": seconds, "magnitude": magnitude}
                rows.append(row | {name: scenarios[name]["in_time"] for name in _SWEPT})
    return rows


def run() -> dict[str, Any]:
    """Headline, ablations and sweep."""
    count = int(os.environ.get("DRIFTLINE_SEEDS", SEEDS))
    return headline(reporting(count)) | {
        "ablations": ablations(reporting(min(count, ABLATED))),
        "sweep": sweep(reporting(min(count, SWEPT))),
        "seeds": count,
    }


def _range(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3g} to {interval[1]:.3g}"
