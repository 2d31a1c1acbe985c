"""How often windows without drift are called drift: i.i.d. and topics in runs, pooled calibration.

Every series has a topic mix and 20 reference buckets of its own; their held-out values calibrate all of them
together, as in the pipeline. Windows shorter than five runs are merged until they are not. Intervals are over
series: windows of one reference share its luck.
"""

from pathlib import Path

import numpy as np
import torch

from benchmarks.embedding import sentinels
from benchmarks.embedding.power import RUNS, pool, sketches
from benchmarks.embedding.topics import Topics
from gpu_scorers.scores import FAMILIES

#: alpha: how many times alpha is allowed.
BARS = {0.05: 1.2, 0.01: 1.2, 0.001: 2.0}
#: Vectors of a window by mean run length: as it is, and what it is merged to.
MERGED = {1: (100, 1000), 20: (100, 1000), 200: (1000,)}


def run(folder: Path | None = None, series: int = 60, windows: int = 50, seed: int = 11) -> dict[str, object]:
    """Tables of rejection rates with 95 % intervals.

    Args:
        folder: Of ``vectors.npz``; None: drawn vectors.
        series: Each with its own reference.
        windows: Windows without drift of each series.
        seed: Of everything drawn.
    """
    rows = [
        row
        for pool_name, topics in Topics.every(folder).items()
        for length, sizes in MERGED.items()
        for size in sizes
        for row in rates(pool_name, topics, length, size, series, windows, seed)
    ]
    for pool_name, topics in Topics.every(folder).items():
        bad = sentinels.cases(topics, folder)
        for length, sizes in MERGED.items() if bad else ():
            for size in sizes:
                values = sentinels.quiet_windows(topics, bad, length, size, series, windows)
                rows += _rows(pool_name, length, size, values)
    return {"rates": rows}


def rates(
    pool_name: str, topics: Topics, length: int, size: int, series: int, windows: int, seed: int
) -> list[dict[str, object]]:
    """Rows of the table for one pool, run length and size of windows: all combined, then by family."""
    return _rows(pool_name, length, size, _windows(topics, length, size, series, windows, seed))


def _rows(pool_name: str, length: int, size: int, every: dict[str, np.ndarray]) -> list[dict[str, object]]:
    rows = []
    for origin, values in every.items():
        series = len(values)
        row: dict[str, object] = {"vectors": pool_name, "topics": RUNS[length], "rows": size, "p": origin}
        row["windows"] = values.size
        for alpha, bar in BARS.items():
            each = (values < alpha).mean(1)
            rate, half = each.mean(), 1.96 * each.std() / np.sqrt(series)
            row[f"p<{alpha}"] = f"{rate:.4f} [{max(rate - half, 0):.4f}, {rate + half:.4f}]"
            row[f"within {bar:g}x at {alpha}"] = bool(rate <= bar * alpha)
        rows.append(row)
    return rows


def _windows(
    topics: Topics, length: int, size: int, series: int, windows: int, seed: int
) -> dict[str, np.ndarray]:
    """P-values by family and of all combined, [series, windows]."""
    random = np.random.default_rng([seed, length, size])
    spec, mixes, reference, calibration = pool(topics, random, series, size, length)
    said = [
        calibration(reference.score(sketches(spec, topics, random, mixes, size, length)).p)
        for _ in range(windows)
    ]
    p = torch.stack([each.p for each in said], 1)
    found = {"all": torch.stack([each.together for each in said], 1).numpy()}
    return found | {str(family): p[..., i].numpy() for i, family in enumerate(FAMILIES)}
