"""Median detection delay at 1 in 10,000, beside a CUSUM that knows null, autocorrelation and shift.

python -m benchmarks.detection.delay [--streams 40] [--json OUT]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.false_alarms import rates, windows
from benchmarks.detection.streams import STREAMS

BUDGET = 10_000
ONSET, AFTER = 2500, 300


def oracle(z: NDArray[Any], shift: float) -> NDArray[Any]:
    """Delays of the CUSUM tuned to ``shift``; its threshold by Siegmund's approximation of the run length."""
    drift = shift / 2
    limits = np.linspace(0.1, 40, 4000)
    span = limits + 1.166
    length = (np.exp(2 * drift * span) - 2 * drift * span - 1) / (2 * drift**2)
    limit = limits[np.searchsorted(length, BUDGET)]
    total, delay = np.zeros(z.shape[1]), np.full(z.shape[1], np.inf)
    for t in range(ONSET, len(z)):
        total = np.maximum(total + z[t] - drift, 0)
        delay = np.where((total > limit) & np.isinf(delay), t - ONSET + 1, delay)
    return delay


def delays(values: Any) -> NDArray[Any]:
    """Windows from onset to the first alarm of each stream, inf where there was none."""
    rate, _, _ = rates(windows(values))
    alarm = rate[ONSET:] <= 1 / BUDGET
    return np.where(alarm.any(0), alarm.argmax(0) + 1.0, np.inf)


def run(streams: int = 40) -> dict[str, Any]:
    """Shifts, ramps, a doubled variance and a ratio, on independent and autocorrelated noise."""
    rng, out = np.random.default_rng(5), {}
    shape = (ONSET + AFTER, streams)
    after = np.maximum(np.arange(shape[0]) - ONSET + 1, 0)[:, None]
    for noise, phi in (("normal", 0.0), ("AR(1) 0.8", 0.8)):
        base = STREAMS[noise](rng, shape)
        for shift in (0.5, 1.0, 2.0, 4.0):
            known = base + shift * (after > 0)
            white = known.copy()
            white[1:] = (known[1:] - phi * known[:-1]) / np.sqrt(1 - phi**2)
            best = oracle(white, shift * (1 - phi) / np.sqrt(1 - phi**2))
            out[f"{noise}, step {shift:g} sd"] = (delays(known), best)
        for slope in (0.01, 0.05):
            out[f"{noise}, ramp {slope:g} sd a bucket"] = (delays(base + slope * after), None)
        for factor in (2.0, 4.0):
            out[f"{noise}, variance x {factor:g}"] = (
                delays(base * np.where(after > 0, factor**0.5, 1)),
                None,
            )
    for trials in (200, 2000):
        p = np.where(after > 0, 0.03, 0.01)
        hits = rng.binomial(trials, np.broadcast_to(p, shape)).astype(float)
        out[f"ratio 1 % to 3 %, {trials} trials"] = (delays((hits, np.full(shape, float(trials)))), None)
    table = {}
    for name, (ours, best) in out.items():
        found = float((ours <= 100).mean())
        table[name] = {"median": float(np.median(ours)), "found_in_100": found}
        if best is not None:
            table[name]["oracle"] = float(np.median(best))
        print(f"{name:34s}", {k: round(v, 2) for k, v in table[name].items()}, flush=True)
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=40)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = run(arguments.streams)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
