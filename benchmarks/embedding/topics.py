"""Vectors of real text, shaped like them, or of topics far apart, in runs of geometric length."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
#: Kinds of drift, as options of `Topics.draw`.
DRIFTS: dict[str, dict[str, Any]] = {
    "new topic 10 %": {"new_topic": 0.10},
    "new topic 3 %": {"new_topic": 0.03},
    "wrong language 1 %": {"foreign": 0.01},
    "wrong language .5 %": {"foreign": 0.005},
    "shift .1 sd, 1st axis": {"shift": 0.1},
    "shift .3 sd, 1st axis": {"shift": 0.3},
    "shift .1 sd, random axis": {"shift": 0.1, "anywhere": True},
    "spread +10 %": {"spread": 1.1},
    "spread -10 %": {"spread": 0.9},
    "collapse 5 %": {"collapse": 0.05},
    "collapse 2 %": {"collapse": 0.02},
    "rotation 2 deg": {"rotation": 2.0},
    "rotation 5 deg": {"rotation": 5.0},
    "outliers 1 %": {"outliers": 0.01},
    "outliers .5 %": {"outliers": 0.005},
}
#: Variance along the principal axes of all-MiniLM-L6-v2 on 19,190 short texts (quotations and package
#: descriptions of 87 topics), over its mean: at these axes of 384, three of which carry none at all.
_AXES = (0, 1, 5, 20, 60, 120, 200, 280, 340, 370, 378, 380)
_VARIANCE = (22.0, 7.4, 5.5, 3.0, 1.7, 1.04, 0.58, 0.22, 0.066, 0.038, 0.025, 0.017)
#: Share of the variance along an axis that lies within topics.
_WITHIN_AXES, _WITHIN = (0, 1, 5, 20, 60, 120, 200), (0.17, 0.58, 0.7, 0.81, 0.93, 0.97, 0.98)
#: Norm of the mean, texts of a topic.
_NORM, _TEXTS = 0.24, 220
#: Topics that no series has until they are new, one in so many.
_KEPT_OUT = 7


class Topics:
    """Draws unit vectors, with replacement, from a pool of texts of many topics."""

    def __init__(self, x: Floats, topic: npt.NDArray[np.integer]) -> None:
        """Take a pool.

        Args:
            x: [texts, dim] unit vectors.
            topic: [texts], 0 and up; -1 for texts in another language, if there are any.
        """
        self.dim = x.shape[1]
        self.strange = x[topic < 0]
        order = np.argsort(topic, kind="stable")[len(self.strange) :]
        self._x = x[order]
        self._size = np.bincount(topic[order])
        self._start = np.cumsum(self._size) - self._size
        self._centre = np.add.reduceat(self._x, self._start) / self._size[:, None]
        shuffled = np.random.default_rng(0).permutation(len(self._size))
        kept_out = len(shuffled) // _KEPT_OUT
        self._new, self._usual = shuffled[:kept_out], shuffled[kept_out:]
        spread = np.cov(self._x[np.isin(topic[order], self._usual)].T)
        variance, axes = np.linalg.eigh(spread)
        anywhere = np.random.default_rng(9).standard_normal((1, self.dim))[0]
        anywhere /= np.linalg.norm(anywhere)
        self._first = axes[:, -1] * np.sqrt(variance[-1])
        self._anywhere = anywhere * np.sqrt(anywhere @ spread @ anywhere)

    @classmethod
    def shaped(cls, dim: int = 384, topics: int = 84) -> "Topics":
        """A pool drawn with the spectrum, the mean and the topics' share of real text."""
        random = np.random.default_rng([0, dim, topics])
        variance = np.exp(np.interp(np.linspace(0, 383, dim), _AXES, np.log(_VARIANCE)))
        variance[-3:] = 0.0
        scale = np.sqrt(variance / variance.sum() * (1 - _NORM**2))
        base = np.linalg.qr(random.standard_normal((dim, dim)))[0]
        within = np.interp(np.linspace(0, 383, dim), _WITHIN_AXES, _WITHIN)
        centre = random.standard_normal((topics, dim)) * np.sqrt(1 - within)
        noise = random.standard_normal((topics, _TEXTS, dim)) * np.sqrt(within)
        mean = random.standard_normal(dim) * scale
        x = mean * (_NORM / np.linalg.norm(mean)) + (centre[:, None] + noise) * scale
        x /= np.linalg.norm(x, axis=2, keepdims=True)
        return cls(x.reshape(-1, dim) @ base.T, np.repeat(np.arange(topics), _TEXTS))

    @classmethod
    def apart(cls, dim: int = 384, topics: int = 23) -> "Topics":
        """A pool of anisotropic topics on the sphere, far apart: the recipe's synthetic vectors."""
        random = np.random.default_rng([1, dim, topics])
        centre = random.standard_normal((topics, 1, dim))
        centre *= 0.8 / np.linalg.norm(centre, axis=2, keepdims=True)
        scale = np.linspace(1.6, 0.2, dim)
        scale /= np.linalg.norm(scale)
        scales = np.stack([scale[random.permutation(dim)] for _ in range(topics)])[:, None]
        x = centre + random.standard_normal((topics, _TEXTS, dim)) * scales
        x /= np.linalg.norm(x, axis=2, keepdims=True)
        return cls(x.reshape(-1, dim), np.repeat(np.arange(topics), _TEXTS))

    @classmethod
    def every(cls, folder: Path | None = None) -> dict[str, "Topics"]:
        """The pools of a benchmark by name: that of ``folder``, or without one both that are drawn."""
        if folder is not None:
            return {"real text": cls.read(folder)}
        return {"shaped like real text": cls.shaped(), "topics far apart": cls.apart()}

    @classmethod
    def read(cls, folder: Path) -> "Topics":
        """A pool of real text: ``vectors.npz`` with ``x`` and ``topic``, as the constructor takes them."""
        with np.load(folder / "vectors.npz") as pool:
            x = pool["x"].astype(np.float64)
            return cls(x / np.linalg.norm(x, axis=1, keepdims=True), pool["topic"])

    def drifts(self) -> dict[str, dict[str, Any]]:
        """The kinds of drift that this pool can show."""
        return {name: drift for name, drift in DRIFTS.items() if "foreign" not in drift or len(self.strange)}

    def kept_out(self) -> Floats:
        """[texts, dim] of one topic that no series has."""
        start = int(self._start[self._new[0]])
        return self._x[start : start + int(self._size[self._new[0]])]

    def mix(self, random: np.random.Generator) -> Floats:
        """A series' own mix of the usual topics."""
        return random.dirichlet(np.full(len(self._usual), 0.5))

    def draw(
        self,
        random: np.random.Generator,
        rows: int,
        run: int,
        mix: Floats | None = None,
        *,
        new_topic: float = 0.0,
        foreign: float = 0.0,
        shift: float = 0.0,
        anywhere: bool = False,
        spread: float = 1.0,
        collapse: float = 0.0,
        outliers: float = 0.0,
        rotation: float = 0.0,
    ) -> Vectors:
        """[rows, dim] in the order of time.

        Args:
            random: Where the draw comes from.
            rows: Vectors.
            run: Mean rows that a topic stays for; 1 is i.i.d.
            mix: Shares of the usual topics; equal ones by default.
            new_topic: Share of rows, in whole runs, of one topic that no series had.
            foreign: Share of rows in another language.
            shift: Along the first principal axis, in its standard deviations.
            anywhere: Along a random axis instead: it leaves the axes that carry no variance.
            spread: Factor of the distances to the topics' centres.
            rotation: Degrees that every plane of a fixed pairing of axes is turned by.
            collapse: Share of rows that are one and the same answer.
            outliers: Share of rows that point the other way.
        """
        runs = np.repeat(np.arange(rows), random.geometric(1 / run, size=rows))[:rows]
        topic = random.choice(self._usual, size=rows, p=mix)[runs]
        topic = np.where((random.random(rows) < new_topic)[runs], random.choice(self._new), topic)
        x = self._x[self._start[topic] + (random.random(rows) * self._size[topic]).astype(np.int64)]
        if spread != 1.0:
            centre = self._centre[topic]
            x = centre + spread * (x - centre)
        if shift:
            x += shift * (self._anywhere if anywhere else self._first)
        if rotation:
            x = _turned(x, np.deg2rad(rotation))
        x[random.random(rows) < outliers] *= -1
        if foreign:
            wrong = random.random(rows) < foreign
            x[wrong] = self.strange[random.integers(len(self.strange), size=int(wrong.sum()))]
        x[random.random(rows) < collapse] = x[0]
        drawn: Vectors = x.astype(np.float32)
        return drawn


def _turned(x: Floats, angle: float) -> Floats:
    half = x.shape[1] // 2
    one, other = x[:, :half], x[:, half : 2 * half]
    turned = (one * np.cos(angle) - other * np.sin(angle), one * np.sin(angle) + other * np.cos(angle))
    return np.concatenate([*turned, x[:, 2 * half :]], axis=1)
