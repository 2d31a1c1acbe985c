"""What sentinels add: known-bad answers among the ordinary ones, and how often sentinels are wrong.

With ``--data DIR`` the known-bad vectors are those of ``DIR/known_bad.npz``: for each case two arrays,
``CASE/known`` [texts, dim] that the sentinel is fitted to and ``CASE/given`` [texts, dim] that drifted
windows hold. Without, one topic that no series has is the bad one, half its texts known.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.embedding.topics import Topics
from gpu_scorers import arrays
from gpu_scorers.calibration import Calibration
from gpu_scorers.reference import Reference, held_out
from gpu_scorers.scores import FAMILIES, SCORERS, budget_shares
from gpu_scorers.sentinels import Sentinels
from gpu_scorers.spec import Spec
from gpu_scorers.tails import cauchy

#: Sizes of the frozen parts and the reference, as in the recipe's tables.
FIT_ROWS, FEATURES, CLUSTERS, AXES, BUCKETS = 8192, 512, 128, 64, 20
#: Centroids of a sentinel, as `driftline sentinels fit` makes by default.
CENTROIDS = 4
#: Shares of known-bad answers in drifted windows.
SHARES = {"1 %": 0.01, ".5 %": 0.005}
#: The recipe's power at .05/.01 for a wrong language found by two others: its sentinel alone, and all.
RECIPE = {
    "1 %": {1: (".67/.56", ".62/.38"), 20: (".60/.35", ".36/.15")},
    ".5 %": {1: (".37/.25", ".31/.11"), 20: (".32/.09", ".15/.03")},
}
#: The case of drawn vectors.
DRAWN = "a known bad topic"
LENGTHS = {1: "i.i.d.", 20: "runs of 20"}
P = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.floating]


def cases(topics: Topics, folder: Path | None) -> dict[str, tuple[Vectors, Vectors]]:
    """Known and given vectors by case; none where the folder has no file of them."""
    if folder is None:
        bad = topics.kept_out()
        return {DRAWN: (bad[::2], bad[1::2])}
    path = folder / "known_bad.npz"
    if not path.exists():
        return {}
    with np.load(path) as file:
        every = {name: file[name].astype(np.float64) for name in file.files}
    names = dict.fromkeys(name.rpartition("/")[0] for name in every)
    return {name: (every[f"{name}/known"], every[f"{name}/given"]) for name in names}


class World:
    """Series that calibrate each other, with a sentinel for each case."""

    def __init__(
        self,
        topics: Topics,
        bad: dict[str, tuple[Vectors, Vectors]],
        random: np.random.Generator,
        *,
        series: int,
        rows: int,
        length: int,
        already: float = 0.0,
    ) -> None:
        """Fit the frozen parts, draw the references and hold them out.

        Args:
            topics: Of all series.
            bad: Known and given vectors by case.
            random: Where everything drawn comes from.
            series: How many, each with its own mix.
            rows: Vectors of a bucket and of a window.
            length: Mean run of a topic.
            already: Share of known-bad answers of each case in sample and references.
        """
        self.topics, self.random, self.rows, self.length = topics, random, rows, length
        self.given = [given for _, given in bad.values()]
        known = [Sentinels.fit(known, CENTROIDS).centroids for known, _ in bad.values()]
        of = np.repeat(np.arange(len(known)), [len(each) for each in known])
        sample = self._some_bad(topics.draw(random, FIT_ROWS, 1), [already] * len(known))
        spec = Spec.fit(sample, features=FEATURES, clusters=CLUSTERS, axes=AXES)
        self.already = already
        self.spec = spec.with_sentinels(sample, Sentinels(np.concatenate(known), of))
        self.mixes = [topics.mix(random) for _ in range(series)]
        held = torch.stack([self.windows() for _ in range(BUCKETS)], 1)
        self.reference = Reference.build(self.spec, held)
        null = held_out(self.spec, held).reshape(-1, len(SCORERS) + len(known))
        near = null[:, len(SCORERS) :]
        self.calibration = Calibration(
            null[:, : len(SCORERS)], float(self.reference.effective.median()), sentinels=near
        )

    def windows(self, case: int = 0, share: float = 0.0, **drift: Any) -> torch.Tensor:
        """f64 [series, width]: a window of each series, a share of it given vectors of a case."""
        sums = np.zeros((len(self.mixes), self.spec.layout.width))
        for place, mix in enumerate(self.mixes):
            shares = [self.already + (share if each == case else 0.0) for each in range(len(self.given))]
            x = self._some_bad(self.topics.draw(self.random, self.rows, self.length, mix, **drift), shares)
            arrays.fold(self.spec, sums[place : place + 1], x, np.zeros(self.rows, np.int64))
        return torch.from_numpy(sums)

    def _some_bad(self, x: Vectors, shares: Sequence[float]) -> Vectors:
        """Vectors, a share of each case's given ones among them."""
        for given, share in zip(self.given, shares, strict=True):
            wrong = self.random.random(len(x)) < share
            x[wrong] = given[self.random.integers(len(given), size=int(wrong.sum()))]
        return x

    def p(self, count: int, case: int = 0, share: float = 0.0, **drift: Any) -> tuple[P, P, P]:
        """Calibrated p-values [series, count] of a case's sentinel, of all with and of all without it."""
        found = []
        for _ in range(count):
            p = self.calibration(self.reference.score(self.windows(case, share, **drift)).p).p
            own = p[:, : len(FAMILIES)]
            sentinel = p[:, len(FAMILIES) + case]
            both = torch.cat([own, sentinel[:, None]], 1)
            shares = (torch.tensor(budget_shares(n), dtype=torch.float64) for n in (1, 0))
            alike = [cauchy(each, shares=share) for each, share in zip((both, own), shares, strict=True)]
            found.append(torch.stack([sentinel, *alike]))
        sentinel, both, own = torch.stack(found, 2).numpy()
        return sentinel, both, own


def power(
    topics: Topics, bad: dict[str, tuple[Vectors, Vectors]], series: int, quiet: int, drifted: int
) -> dict[str, dict[str, str]]:
    """Rates of rejection at .05/.01 by case and share: of its sentinel, and of all with and without it."""
    rows: dict[str, dict[str, str]] = {}
    for length, name in LENGTHS.items():
        for already, added in ((0.0, ""), (0.01, ", 1 % of each already so")):
            random = np.random.default_rng([3, length, int(already * 100)])
            world = World(topics, bad, random, series=series, rows=1000, length=length, already=already)
            for place, case in enumerate(bad):
                kinds: dict[str, tuple[int, float, dict[str, Any]]] = {"none": (quiet, 0.0, {})}
                kinds |= {share: (drifted, rate, {}) for share, rate in SHARES.items()}
                if not already and case != DRAWN:  # the topics that are new are few, the bad one is of them
                    kinds["a new topic 10 %, not bad"] = (drifted, 0.0, {"new_topic": 0.1})
                for kind, (count, rate, drift) in kinds.items():
                    row = rows.setdefault(f"{case}: {kind}{added}", {})
                    same = "two others" in case and not already
                    recipe = RECIPE.get(kind, {}).get(length, ("", "")) if same else ("", "")
                    alone, both, own = map(brief, world.p(count, place, rate, **drift))
                    row[f"{name}, sentinel"], row[f"recipe, {name}, sentinel"] = alone, recipe[0]
                    row[f"{name}, all"], row[f"recipe, {name}, all"] = both, recipe[1]
                    row[f"{name}, without"] = own
    return rows


def quiet_windows(
    topics: Topics, bad: dict[str, tuple[Vectors, Vectors]], length: int, size: int, series: int, windows: int
) -> dict[str, P]:
    """P-values of windows without drift, [series, windows], by sentinel and of all combined."""
    random = np.random.default_rng([12, length, size])
    world = World(topics, bad, random, series=series, rows=size, length=length)
    said = [world.calibration(world.reference.score(world.windows()).p) for _ in range(windows)]
    p = torch.stack([each.p for each in said], 1).numpy()
    every = {f"sentinel: {case}": p[..., len(FAMILIES) + place] for place, case in enumerate(bad)}
    return {"all, with sentinels": torch.stack([each.together for each in said], 1).numpy(), **every}


def brief(p: P) -> str:
    """Rates at .05/.01."""
    rates = [float((p < level).mean()) for level in (0.05, 0.01)]
    return "/".join("1" if rate == 1 else f"{rate:.2f}".lstrip("0") for rate in rates)
