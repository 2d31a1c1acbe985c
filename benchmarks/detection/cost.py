"""What judging costs: microseconds a series and window, bytes of state a series.

python -m benchmarks.detection.cost [--series 1 100 10000] [--windows 60] [--json OUT]
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from operators.detection import Bank, WindowValues
from operators.series import SeriesKey
from operators.settings import Detection


def run(sizes: tuple[int, ...] = (1, 100, 10_000), windows: int = 60) -> dict[str, Any]:
    """Time the bank at several sizes, after its warm-up."""
    rng, out = np.random.default_rng(17), {}
    for size in sizes:
        bank = Bank(Detection(), 60)
        rows = bank.add([SeriesKey("t", "s", str(i), None, (), "gauge", "1") for i in range(size)], 0)
        spent = 0.0
        for t in range(30 + windows):
            window = WindowValues.plain(rng.normal(size=size))
            start = time.perf_counter()
            bank.step(t * 60_000, rows, window)
            spent += (time.perf_counter() - start) * (t >= 30)
        cost = spent / windows / size * 1e6
        out[str(size)] = {"us_per_series": cost, "bytes": bank.bytes_per_row, "per_minute": 60e6 / cost}
        print(
            f"{size:>9,d} series: {cost:8.2f} us a series and window, {bank.bytes_per_row} bytes", flush=True
        )
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, nargs="*", default=(1, 100, 10_000))
    parser.add_argument("--windows", type=int, default=60)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = run(tuple(arguments.series), arguments.windows)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
