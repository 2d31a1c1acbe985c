"""One series that has nobody to be calibrated with: a reference of rows, windows scored against it.

The frozen parts are cross-fitted: the reference is cut into stretches, the parts fitted on every second
stretch score against buckets of the others, and the two halves swap. A window is called only as rare as both
say: a topic that one half happened to miss is none to the other. Null values come from the reference's own
buckets, held out in groups as large as a window, joined by the shipped prior, which keeps the tail honest:
a few hundred sessions say little about rates of one in a thousand.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gpu_scorers.calibration import Calibration
from gpu_scorers.fold import empty, fold
from gpu_scorers.reference import LEAST_BUCKETS, Reference
from gpu_scorers.runs import run_length
from gpu_scorers.scores import SCORERS
from gpu_scorers.spec import Spec

Rows = npt.NDArray[np.floating]

#: Fewer reference rows cannot be cut into halves and buckets.
LEAST_ROWS = 64
#: Windows are scored in batches of this many.
BATCH = 64
#: No window of a lone series is ever called rarer than this.
SMALLEST_P = 1e-6
_STRETCHES = 20
_BUCKETS = 25
_DRAWS = 200
#: Runs of topics in a half of the reference by each of which the smallest p-value falls e-fold.
_RUNS_WORTH = 8.0
#: Both halves must agree, and hardly depend on each other; their larger p-value is raised to this power.
_AGREEMENT = 1.3


@dataclass(frozen=True)
class Half:
    """Frozen parts from one half of the reference, model and calibration from the other."""

    spec: Spec
    reference: Reference
    calibration: Calibration

    def p(self, sums: Tensor) -> Tensor:
        """f64 [windows]: combined p-values of window sketches [windows, width]."""
        count = len(sums)
        every = Reference(
            self.spec,
            self.reference.model.expand(count, -1),
            self.reference.effective.expand(count),
        )
        return self.calibration(every.score(sums).p).together


class LoneSeries:
    """Scores windows of one series against its own reference.

    Attributes:
        run: Rows that topics stay for, 1 for i.i.d.
        smallest_p: No window is called rarer than this: a reference or window of few runs cannot know.
    """

    def __init__(self, reference: Rows, window: int, *, seed: int = 0) -> None:
        """Fit to the reference.

        Args:
            reference: [rows, dim], finite, in the order of time.
            window: Rows of the windows that will be scored.
            seed: Of everything that is drawn.

        Raises:
            ValueError: Too few rows, or rows that are all the same.
        """
        if len(reference) < LEAST_ROWS:
            raise ValueError(f"a reference needs at least {LEAST_ROWS} rows")
        random = np.random.default_rng(seed)
        self.run = run_length(reference)
        runs = len(reference) / self.run
        stretches = int(np.clip(runs // 20 * 2, 4, _STRETCHES))
        place = np.arange(len(reference)) * stretches // len(reference) % 2
        halves = (reference[place == 0], reference[place == 1])
        self.halves: list[Half] = []
        for fitted, scored in (halves, halves[::-1]):
            spec = Spec.fit(fitted, features=512, clusters=64, axes=32, seed=seed)
            size = _bucket_rows(len(scored), window, self.run)
            count = len(scored) // size
            x = torch.from_numpy(np.ascontiguousarray(scored[: count * size]))
            buckets = fold(spec, empty(spec, count), x, torch.arange(count).repeat_interleave(size))
            null = _null(spec, buckets, max(1, round(window / size)), size >= 4 * self.run, random)
            model = Reference.build(spec, buckets[None])
            self.halves.append(Half(spec, model, Calibration(null, 1 / (2 * self.run - 1))))
        # neither a reference nor a window of few runs can tell a rare one
        self.smallest_p = max(SMALLEST_P, math.exp(-runs / 2 / _RUNS_WORTH), math.exp(-1 - window / self.run))

    def p_values(self, windows: Iterator[Rows]) -> Iterator[npt.NDArray[np.float64]]:
        """P-values of windows, batch by batch.

        Args:
            windows: Batches, [windows, rows, dim].

        Yields:
            f64 [windows]; below ``smallest_p`` they rank but are no rates.
        """
        for batch in windows:
            count, rows, dim = batch.shape
            series = torch.arange(count).repeat_interleave(rows)
            x = torch.from_numpy(np.ascontiguousarray(batch.reshape(-1, dim)))
            each = [half.p(fold(half.spec, empty(half.spec, count), x, series)) for half in self.halves]
            yield (torch.stack(each, -1).amax(-1) ** _AGREEMENT).numpy()


def _bucket_rows(rows: int, window: int, run: float) -> int:
    """Rows of a reference bucket: at most a window, some runs if enough buckets are left."""
    size = min(window, max(rows // _BUCKETS, int(4 * run)))
    return max(1, min(size, rows // (3 * LEAST_BUCKETS)))


def _null(spec: Spec, buckets: Tensor, group: int, mixed: bool, random: np.random.Generator) -> Tensor:
    """Null p-values [draws, scorers]: groups of buckets as large as a window, against the rest.

    Neighbouring buckets always; where a bucket holds several runs (``mixed``), any buckets too.
    """
    count = len(buckets)
    group = min(group, count // 3, count - LEAST_BUCKETS - 1)
    if group < 1:
        return torch.empty(0, len(SCORERS), dtype=torch.float64)
    orders = [np.roll(np.arange(count), -shift) for shift in range(count)]
    if group > 1 and mixed:
        orders += [random.permutation(count) for _ in range(_DRAWS)]
    order = torch.from_numpy(np.stack(orders))
    p = []
    for some in torch.split(order, BATCH):
        reference = Reference.build(spec, buckets[some[:, group:]])
        p.append(reference.score(buckets[some[:, :group]].sum(1)).p)
    return torch.cat(p)
