"""False-discovery rate and power across a fleet: 5,000 series, 1 % of which shift by 2 deviations.

python -m benchmarks.detection.fleet [--series 5000] [--json OUT]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection.judged import bank_of
from operators.detection import WindowValues
from operators.detection.budget import step_up

WARM, AFTER, SHIFT, TARGET = 1500, 10, 2.0, 0.05


def run(series: int = 5000) -> dict[str, Any]:
    """Step-up at every tick after the shift on the rate of events within ten; a discovery counts once."""
    rng = np.random.default_rng(13)
    bank, rows = bank_of(["gauge"] * series, 60)
    shifted = np.arange(series) < series // 100
    found = np.zeros(series, bool)
    for t in range(WARM + AFTER):
        values = rng.normal(size=series) + SHIFT * (shifted & (t >= WARM))
        verdicts = bank.step(t * 60_000, rows, WindowValues.plain(values))
        if t >= WARM:
            found |= step_up(np.minimum(verdicts.p_value * AFTER, 1.0), TARGET)
    out = {
        "fdr": float((found & ~shifted).sum() / max(found.sum(), 1)),
        "power": float(found[shifted].mean()),
        "found": int(found.sum()),
    }
    print(out)
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=5000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = run(arguments.series)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
