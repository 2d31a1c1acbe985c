"""Synthetic text: anisotropic topics on the sphere that stay for runs of geometric length."""

from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
#: Kinds of drift, as options of `Topics.draw`.
DRIFTS: dict[str, dict[str, Any]] = {
    "new topic 10 %": {"new_topic": 0.10},
    "new topic 3 %": {"new_topic": 0.03},
    "shift .1 sd": {"shift": 0.1},
    "shift .3 sd": {"shift": 0.3},
    "shift .1 sd, random axis": {"shift": 0.1, "axis": 7},
    "spread +10 %": {"spread": 1.1},
    "spread -10 %": {"spread": 0.9},
    "rotation 2 deg": {"rotation": 2.0},
    "rotation 5 deg": {"rotation": 5.0},
    "collapse 5 %": {"collapse": 0.05},
    "collapse 2 %": {"collapse": 0.02},
    "outliers 1 %": {"outliers": 0.01},
}


class Topics:
    """Draws unit vectors of ``count`` topics."""

    def __init__(self, dim: int, count: int = 20, seed: int = 0) -> None:
        fixed = np.random.default_rng([seed, dim, count])
        centres = fixed.standard_normal((count + 1, dim))
        self._centres = 0.8 * centres / np.linalg.norm(centres, axis=1, keepdims=True)
        scale = np.linspace(1.6, 0.2, dim)
        scale /= np.linalg.norm(scale)
        self._scales = np.stack([scale[fixed.permutation(dim)] for _ in range(count)])
        self._axis = np.argmax(self._scales.mean(0))
        self.count = count

    def draw(
        self,
        random: np.random.Generator,
        rows: int,
        run: int,
        *,
        new_topic: float = 0.0,
        shift: float = 0.0,
        spread: float = 1.0,
        collapse: float = 0.0,
        outliers: float = 0.0,
        rotation: float = 0.0,
        axis: int | None = None,
    ) -> Vectors:
        """[rows, dim] in the order of time.

        Args:
            random: Where the draw comes from.
            rows: Vectors.
            run: Mean rows that a topic stays for; 1 is i.i.d.
            new_topic: Share of rows, in whole runs, of a topic never seen before.
            shift: Of one axis, in its standard deviations.
            axis: Which; by default the one that varies most.
            rotation: Degrees that every plane of a fixed pairing of axes is turned by.
            spread: Factor of the distances to the topics' centres.
            collapse: Share of rows that are one and the same answer.
            outliers: Share of rows that point the other way.
        """
        runs = np.repeat(np.arange(rows), random.geometric(1 / run, size=rows))[:rows]
        topic = random.integers(self.count, size=rows)[runs]
        noise = random.standard_normal((rows, self._centres.shape[1])) * self._scales[topic] * spread
        centre = np.where((random.random(rows) < new_topic)[runs], self.count, topic)
        x = self._centres[centre] + noise
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        place = self._axis if axis is None else axis
        x[:, place] += shift * x[:, place].std()
        if rotation:
            x = self._turned(x, np.deg2rad(rotation))
        x[random.random(rows) < outliers] *= -1
        x[random.random(rows) < collapse] = x[0]
        turned: Vectors = x.astype(np.float32)
        return turned

    @staticmethod
    def _turned(x: npt.NDArray[np.float64], angle: float) -> npt.NDArray[np.float64]:
        half = x.shape[1] // 2
        one, other = x[:, :half], x[:, half : 2 * half]
        turned = (one * np.cos(angle) - other * np.sin(angle), one * np.sin(angle) + other * np.cos(angle))
        return np.concatenate([*turned, x[:, 2 * half :]], axis=1)
