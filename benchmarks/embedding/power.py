"""How often quiet windows are called drift and drifted ones seen: pooled over series, and one alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.embedding.topics import DRIFTS, Topics
from gpu_scorers import arrays
from gpu_scorers.calibration import Calibration
from gpu_scorers.lone import LoneSeries
from gpu_scorers.reference import Reference, held_out
from gpu_scorers.scores import SCORERS
from gpu_scorers.spec import Spec
from gpu_scorers.tails import cauchy

DIM = 384
RUNS = (1, 20, 200)
WINDOW = 1000
LEVELS = (0.05, 0.01, 0.001)
P = npt.NDArray[np.float64]


def run(series: int = 16, references: int = 6, quiet: int = 20, drifted: int = 3) -> dict[str, object]:
    """Tables of rejection rates.

    Args:
        series: Series that calibrate each other, 20 reference windows of 1,000 vectors each.
        references: Lone references of 5,000 vectors.
        quiet: Windows without drift for each of them.
        drifted: Windows for each of them and each kind of drift.
    """
    rows = []
    for length in RUNS:
        found = {
            "pooled": _pooled(length, series, quiet, drifted),
            "lone": _lone(length, references, quiet, drifted),
        }
        for calibration, kinds in found.items():
            for kind, p in kinds.items():
                origin = {"calibration": calibration, "run": length, "drift": kind, "windows": len(p)}
                rows.append(origin | {f"p<{level}": float((p < level).mean()) for level in LEVELS})
    return {"rates": rows}


def _kinds(draw: Callable[[int, dict[str, Any]], P], quiet: int, drifted: int) -> dict[str, P]:
    """P-values by kind of drift; ``draw`` gives those of so many windows a series."""
    return {"none": draw(quiet, {})} | {kind: draw(drifted, options) for kind, options in DRIFTS.items()}


def sketches(
    spec: Spec,
    topics: Topics,
    random: np.random.Generator,
    count: int,
    rows: int,
    length: int,
    **drift: Any,
) -> torch.Tensor:
    """f64 [count, width]: sketches of windows of so many rows, each drawn for itself."""
    sums = np.zeros((count, spec.layout.width))
    for place in range(count):
        x = topics.draw(random, rows, length, **drift)
        arrays.fold(spec, sums[place : place + 1], x, np.zeros(rows, np.int64))
    return torch.from_numpy(sums)


def calibrated(spec: Spec, buckets: torch.Tensor) -> tuple[Reference, Calibration]:
    """References of series and the calibration they give each other, of buckets [series, buckets, whole]."""
    reference = Reference.build(spec, buckets)
    null = held_out(spec, buckets).reshape(-1, len(SCORERS))
    return reference, Calibration(null, float(reference.effective.median()))


def _pooled(length: int, series: int, quiet: int, drifted: int) -> dict[str, P]:
    topics, random = Topics(DIM), np.random.default_rng([1, length])
    spec = Spec.fit(topics.draw(random, 4096, length))
    buckets = sketches(spec, topics, random, series * 20, WINDOW, length).reshape(series, 20, -1)
    reference, calibration = calibrated(spec, buckets)

    def draw(count: int, options: dict[str, Any]) -> P:
        every = []
        for _ in range(count):
            windows = sketches(spec, topics, random, series, WINDOW, length, **options)
            every.append(cauchy(calibration(reference.score(windows).p).p))
        return torch.cat(every).numpy()

    return _kinds(draw, quiet, drifted)


def _lone(length: int, references: int, quiet: int, drifted: int) -> dict[str, P]:
    topics = Topics(DIM)
    found: dict[str, list[P]] = {}
    for number in range(references):
        random = np.random.default_rng([2, length, number])
        one = LoneSeries(topics.draw(random, 5 * WINDOW, length), WINDOW)

        def draw(count: int, options: dict[str, Any], one=one, random=random) -> P:  # type: ignore[no-untyped-def]
            x = [topics.draw(random, WINDOW, length, **options) for _ in range(count)]
            return np.concatenate(list(one.p_values(iter([np.stack(x)])))).clip(one.smallest_p)

        for kind, p in _kinds(draw, quiet, drifted).items():
            found.setdefault(kind, []).append(p)
    return {kind: np.concatenate(p) for kind, p in found.items()}
