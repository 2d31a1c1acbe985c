"""False-discovery rate and power across a fleet: 5,000 series, 1 % of which shift by 2 deviations.

    python -m benchmarks.detection.fleet [--series 5000] [--draws 16] [--json OUT]

What alarms is what the bank says, at a budget of 1 in 10,000 for each series and the default ``fleet_fdr``.
The former bounds a series over time and would let 5 of 5,000 alarm falsely within ten windows; with more than
``fleet_fdr`` times 10,000 of them the latter decides. (Where the budget of 5,000 series is as long as the
default one, 90 days of minutes, it is the stricter of the two, and nothing is left for the latter to do.)
"""

from typing import Any

import numpy as np

from benchmarks.detection.command import command
from benchmarks.detection.judged import bank_of
from operators.detection import WindowValues
from operators.settings import AlarmBudget, Detection

PERIOD_S, BUDGET = 60, 10_000
WARM, AFTER, SHIFT = 1500, 10, 2.0
#: From here on alarms before the shift are counted, all of them false.
KNOWN = 1000


def draw(rng: np.random.Generator, series: int) -> tuple[int, int, int, float]:
    """One fleet: series found that shifted, that did not, how many shifted; false ones in ten windows."""
    days = AlarmBudget(per_series_days=BUDGET * PERIOD_S / 86_400)
    bank, rows = bank_of(["gauge"] * series, PERIOD_S, Detection(alarm_budget=days))
    shifted = rng.permutation(series) < series // 100
    found, before, onsets = np.zeros(series, bool), np.zeros(series, bool), 0
    for t in range(WARM + AFTER):
        values = rng.normal(size=series) + SHIFT * (shifted & (t >= WARM))
        alarm = bank.step(t * PERIOD_S * 1000, rows, WindowValues.plain(values)).alarm
        if t >= WARM:
            found |= alarm
        elif t >= KNOWN:
            onsets += int((alarm & ~before).sum())
            before |= alarm
    usual = onsets * AFTER / (WARM - KNOWN)
    return int((found & shifted).sum()), int((found & ~shifted).sum()), int(shifted.sum()), usual


def run(series: int = 5000, draws: int = 16) -> dict[str, Any]:
    """Mean false-discovery proportion and power over ``draws`` fleets, and what alarmed before the shift."""
    rng = np.random.default_rng(13)
    true, false, shifted, usual = np.array([draw(rng, series) for _ in range(draws)]).T
    out = {
        "fdr": float((false / np.maximum(true + false, 1)).mean()),
        "power": float((true / shifted).mean()),
        "found": int(true.sum()),
        "found_wrongly": int(false.sum()),
        "shifted": int(shifted.sum()),
        "draws": draws,
        "false_in_ten_windows_before": float(usual.mean()),
    }
    print(out)
    return out


if __name__ == "__main__":
    command(run, __doc__)
