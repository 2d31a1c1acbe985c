"""What judging costs: time a series and window, bytes of state a series, and a million series a minute.

    python -m benchmarks.detection.cost [--series 1 100 10000] [--windows 60] [--million 1000000] [--json OUT]

The million is a real run: a process for each of two cores, half of the series each, ten windows one after
another, after a warm-up. A window of a minute must take less than one.
"""

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection.judged import bank_of
from operators.detection import WindowValues

CORES, WINDOWS, WARM = 2, 10, 26
Span = tuple[float, float]


def timed(size: int, windows: int, warm: int = WARM) -> tuple[list[Span], int]:
    """(start, end) of each window after the warm-up, monotonic s; and bytes of state a series."""
    rng, spans = np.random.default_rng(17), []
    bank, rows = bank_of(["gauge"] * size, 60)
    for t in range(warm + windows):
        window = WindowValues.plain(rng.normal(size=size))
        start = time.monotonic()
        bank.step(t * 60_000, rows, window)
        spans.append((start, time.monotonic()))
    return spans[warm:], bank.bytes_per_row


def _half(size: int) -> tuple[list[Span], float]:
    spans, _ = timed(size, WINDOWS)
    return spans, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def million(series: int) -> dict[str, Any]:
    """``series`` updated window by window on two cores: the slower core's time a window, and memory."""
    with multiprocessing.get_context("spawn").Pool(CORES) as pool:
        halves = pool.map(_half, [series // CORES] * CORES)
    took = np.max([[end - start for start, end in spans] for spans, _ in halves], axis=0)
    return {
        "series": series,
        "windows": WINDOWS,
        "slowest_window_s": float(took.max()),
        "mean_window_s": float(took.mean()),
        "memory_gib": float(sum(memory for _, memory in halves)),
        "bar_s": 60.0,
    }


def run(
    sizes: tuple[int, ...] = (1, 100, 10_000), windows: int = 60, many: int = 1_000_000
) -> dict[str, Any]:
    """Time the bank at several sizes, then with ``many`` series."""
    out: dict[str, Any] = {}
    for size in sizes:
        spans, state = timed(size, windows)
        cost = sum(end - start for start, end in spans) / windows / size * 1e6
        out[str(size)] = {"us_per_series": cost, "bytes": state, "per_minute": 60e6 / cost}
        print(f"{size:>9,d} series: {cost:8.2f} us a series and window, {state} bytes", flush=True)
    found = {"series": out}
    if many:
        found["million"] = million(many)
        print(found["million"], flush=True)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, nargs="*", default=(1, 100, 10_000))
    parser.add_argument("--windows", type=int, default=60)
    parser.add_argument("--million", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = run(tuple(arguments.series), arguments.windows, arguments.million)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
