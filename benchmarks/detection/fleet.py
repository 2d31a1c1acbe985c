"""False-discovery rate and power across a fleet: 5,000 series, 1 % of which shift by 2 deviations.

python -m benchmarks.detection.fleet [--series 5000] [--draws 4] [--json OUT]
"""

from typing import Any

import numpy as np

from benchmarks.detection.command import command
from benchmarks.detection.judged import bank_of
from operators.detection import WindowValues
from operators.detection.budget import step_up

WARM, AFTER, SHIFT, TARGET = 1500, 10, 2.0, 0.05


def draw(rng: np.random.Generator, series: int) -> tuple[int, int, int]:
    """One fleet: series found that shifted, that did not, and how many shifted.

    Step-up at every tick after the shift on the rate of events within ten; a discovery counts once.
    """
    bank, rows = bank_of(["gauge"] * series, 60)
    shifted = np.arange(series) < series // 100
    found = np.zeros(series, bool)
    for t in range(WARM + AFTER):
        values = rng.normal(size=series) + SHIFT * (shifted & (t >= WARM))
        verdicts = bank.step(t * 60_000, rows, WindowValues.plain(values))
        if t >= WARM:
            found |= step_up(np.minimum(verdicts.p_value * AFTER, 1.0), TARGET)
    return int((found & shifted).sum()), int((found & ~shifted).sum()), int(shifted.sum())


def run(series: int = 5000, draws: int = 4) -> dict[str, Any]:
    """Mean false-discovery proportion and power over ``draws`` fleets."""
    rng = np.random.default_rng(13)
    true, false, shifted = np.array([draw(rng, series) for _ in range(draws)]).T
    out = {
        "fdr": float((false / np.maximum(true + false, 1)).mean()),
        "power": float((true / shifted).mean()),
        "found": int(true.sum()),
        "found_wrongly": int(false.sum()),
        "shifted": int(shifted.sum()),
    }
    print(out)
    return out


if __name__ == "__main__":
    command(run, __doc__)
