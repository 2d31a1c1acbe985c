"""How often drifted windows are seen: pooled over series, and one series alone, beside the recipe's figures.

Without data the vectors are shaped like real text, and once more of topics far apart; with ``--data DIR``
they are those of ``DIR/vectors.npz`` (``x`` [texts, 384] of your encoder, ``topic`` [texts], -1 for another
language; known-bad ones as `sentinels` reads them). The frozen parts are fitted, as the recipe's, to vectors
of all topics in no order.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.embedding import sentinels
from benchmarks.embedding.sentinels import AXES, BUCKETS, CLUSTERS, FEATURES, FIT_ROWS, brief
from benchmarks.embedding.topics import Topics
from gpu_scorers import arrays
from gpu_scorers.calibration import Calibration
from gpu_scorers.lone import LoneSeries
from gpu_scorers.reference import Reference, held_out
from gpu_scorers.scores import SCORERS
from gpu_scorers.spec import Spec

RUNS = {1: "i.i.d.", 20: "runs of 20", 200: "runs of 200"}
WINDOW = 1000
#: The recipe's power at .05/.01 on its own real text, i.i.d. and in runs of 20 (its outliers: on synthetic
#: topics, one scorer at .05). Its wrong language is found by centroids of known bad text.
RECIPE = {
    "none": ("", ""),
    "new topic 10 %": ("1/1", ".80/.42"),
    "new topic 3 %": (".35/.14", ".08"),
    "wrong language 1 %": (".62/.38", ".36/.15"),
    "wrong language .5 %": (".31/.11", ".15/.03"),
    "shift .1 sd, 1st axis": (".98/.93", ".34/.08"),
    "shift .3 sd, 1st axis": ("1/1", "1/1"),
    "shift .1 sd, random axis": ("1/.98", ".14/.01"),
    "spread +10 %": ("1/1", "1/1"),
    "spread -10 %": ("1/1", "1/1"),
    "collapse 5 %": ("1/1", "1/.96"),
    "collapse 2 %": (".95/.91", ".21/.05"),
    "rotation 2 deg": ("1/1", ".98/.90"),
    "rotation 5 deg": ("1/1", ".13/.03"),
    "outliers 1 %": (".98", ".98"),
    "outliers .5 %": (".80", ".77"),
}
P = npt.NDArray[np.float64]


def run(
    folder: Path | None = None, series: int = 16, references: int = 4, quiet: int = 20, drifted: int = 6
) -> dict[str, object]:
    """Tables of rejection rates.

    Args:
        folder: Of ``vectors.npz``; None: drawn vectors.
        series: Series that calibrate each other, each with its own topic mix.
        references: Lone references of 5,000 vectors.
        quiet: Windows without drift for each of them.
        drifted: Windows for each of them and each kind of drift.
    """
    tables: dict[str, object] = {}
    for pool_name, topics in Topics.every(folder).items():
        pooled = {length: _pooled(topics, length, series, quiet, drifted) for length in RUNS}
        tables[f"{pool_name}, 1,000 vectors, at .05/.01"] = beside_recipe(pooled)
        lone = {length: _lone(topics, length, references, quiet, drifted) for length in RUNS}
        tables[f"{pool_name}, one series alone, 5,000 reference vectors"] = {
            kind: {name: brief(lone[length][kind]) for length, name in RUNS.items()} for kind in lone[1]
        }
        bad = sentinels.cases(topics, folder)
        if bad:
            title = f"{pool_name}, 1,000 vectors, at .05/.01, with sentinels"
            tables[title] = sentinels.power(topics, bad, series, quiet, drifted)
    return tables


def beside_recipe(pooled: dict[int, dict[str, P]]) -> dict[str, dict[str, str]]:
    """Rates of rejection by kind of drift, from p-values by run length and kind, with the recipe's."""
    rows: dict[str, dict[str, str]] = {}
    for kind in pooled[1]:
        rows[kind] = {}
        for place, (length, name) in enumerate(RUNS.items()):
            rows[kind][name] = brief(pooled[length][kind])
            if place < len(RECIPE[kind]):
                rows[kind][f"recipe, {name}"] = RECIPE[kind][place]
    return rows


def _kinds(
    topics: Topics, draw: Callable[[int, dict[str, Any]], P], quiet: int, drifted: int
) -> dict[str, P]:
    """P-values by kind of drift; ``draw`` gives those of so many windows a series."""
    return {"none": draw(quiet, {})} | {kind: draw(drifted, drift) for kind, drift in topics.drifts().items()}


def sketches(
    spec: Spec,
    topics: Topics,
    random: np.random.Generator,
    mixes: Sequence[P],
    rows: int,
    length: int,
    **drift: Any,
) -> torch.Tensor:
    """f64 [mixes, width]: sketches of a window of so many rows for each mix of topics."""
    sums = np.zeros((len(mixes), spec.layout.width))
    for place, mix in enumerate(mixes):
        x = topics.draw(random, rows, length, mix, **drift)
        arrays.fold(spec, sums[place : place + 1], x, np.zeros(rows, np.int64))
    return torch.from_numpy(sums)


def pool(
    topics: Topics, random: np.random.Generator, series: int, rows: int, length: int
) -> tuple[Spec, list[P], Reference, Calibration]:
    """Frozen parts, mixes and references of series, and the calibration they give each other."""
    spec = Spec.fit(topics.draw(random, FIT_ROWS, 1), features=FEATURES, clusters=CLUSTERS, axes=AXES)
    mixes = [topics.mix(random) for _ in range(series)]
    buckets = torch.stack([sketches(spec, topics, random, mixes, rows, length) for _ in range(BUCKETS)], 1)
    reference = Reference.build(spec, buckets)
    null = held_out(spec, buckets).reshape(-1, len(SCORERS))
    return spec, mixes, reference, Calibration(null, float(reference.effective.median()))


def _pooled(topics: Topics, length: int, series: int, quiet: int, drifted: int) -> dict[str, P]:
    random = np.random.default_rng([1, length])
    spec, mixes, reference, calibration = pool(topics, random, series, WINDOW, length)

    def draw(count: int, drift: dict[str, Any]) -> P:
        every = []
        for _ in range(count):
            windows = sketches(spec, topics, random, mixes, WINDOW, length, **drift)
            every.append(calibration(reference.score(windows).p).together)
        return torch.cat(every).numpy()

    return _kinds(topics, draw, quiet, drifted)


def _lone(topics: Topics, length: int, references: int, quiet: int, drifted: int) -> dict[str, P]:
    found: dict[str, list[P]] = {}
    for number in range(references):
        random = np.random.default_rng([2, length, number])
        mix = topics.mix(random)
        one = LoneSeries(topics.draw(random, 5 * WINDOW, length, mix), WINDOW)

        def draw(count: int, drift: dict[str, Any], one=one, random=random, mix=mix) -> P:  # type: ignore[no-untyped-def]
            x = [topics.draw(random, WINDOW, length, mix, **drift) for _ in range(count)]
            return np.concatenate(list(one.p_values(iter([np.stack(x)])))).clip(one.smallest_p)

        for kind, p in _kinds(topics, draw, quiet, drifted).items():
            found.setdefault(kind, []).append(p)
    return {kind: np.concatenate(p) for kind, p in found.items()}
