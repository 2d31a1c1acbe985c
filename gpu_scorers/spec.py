"""What is frozen per embedder version: random features, centroids, axes, thresholds, control variates.

Fitted once on a sample of vectors that never serve as reference themselves (cross-fitting: on the rows they
were fitted to, distances and whitened coordinates look quieter than on any new ones).
"""

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gpu_scorers.centroids import centroids_of
from gpu_scorers.given import Given
from gpu_scorers.layout import FAR_QUANTILES, REPEAT_BINS, REPEAT_BITS, Layout
from gpu_scorers.sentinels import Sentinels, boundaries

#: Rows longer than this multiple of the median norm are shortened to it: no vector outweighs a bucket.
NORM_LIMIT = 16.0
#: Least scatter along an axis, as a share of the usual one: what rounding may leave.
_LEAST_SCATTER = 1e-4
#: Dimensions to sample rows up to which the sample's scatter is believed axis by axis.
_ENOUGH = 0.25


@dataclass(frozen=True)
class Spec:
    """Frozen parts of the sketches of one embedder version and side.

    Attributes:
        layout: Where the sums lie.
        scale: Median norm of the sample; vectors are divided by it.
        projection: f32 [dim, features/2 + axes + clusters + bits + centroids of sentinels], everything one
            GEMM yields.
        offset: f32 [the same width], added to it.
        thresholds: f32 [far], squared distances beyond which a vector is far.
        whitening: f64 [dim, dim], principal axes, each in units of what single vectors scatter along it about
            their centroids; applied to means when a window is scored.
        expected: f64 [clusters, dense], mean feature row of each centroid's members: the control variate.
        weight: f64 [clusters], Pearson weights of the cluster shares.
        given: `gpu_scorers.given.Given`, what is expected given the other side; None: scored alone.
        sentinel: f32 [centroids of sentinels, sentinels], 1 where a centroid is of a sentinel; None: there
            are none.
    """

    layout: Layout
    scale: float
    projection: Tensor
    offset: Tensor
    thresholds: Tensor
    whitening: Tensor
    expected: Tensor
    weight: Tensor
    given: Given | None = None
    sentinel: Tensor | None = None

    @classmethod
    def fit(
        cls,
        vectors: npt.NDArray[np.floating],
        *,
        features: int = 512,
        clusters: int = 64,
        axes: int = 32,
        seed: int = 0,
        device: str = "cpu",
    ) -> "Spec":
        """Fit to a sample; the same rows in the same order and seed give the same spec on one device.

        Args:
            vectors: [rows, dim], finite; some hundreds of rows at least for the sake of power.
            features: Random Fourier features, even.
            clusters: Centroids; fewer where the sample has under 8 rows for each.
            axes: Leading whitened axes; at most ``dim``.
            seed: Of the random features and the first centroids.
            device: Where sketches will be folded and scored.

        Raises:
            ValueError: Fewer than 16 rows, or vectors that are all the same or not finite.
        """
        if vectors.ndim != 2 or len(vectors) < 16:
            raise ValueError("a spec needs at least 16 vectors")
        rows, dim = vectors.shape
        x = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float64))
        if not torch.isfinite(x).all():
            raise ValueError("a spec needs finite vectors")
        scale = float(x.norm(dim=1).median()) or 1.0
        x = _shortened(x / scale)
        layout = Layout(dim, features, min(clusters, max(2, rows // 8)), min(axes, dim))
        random = np.random.default_rng([seed, dim, features])
        fourier = _orthogonal_features(dim, features // 2, random) * math.sqrt(2.0 / _bandwidth(x, random))
        centre = x.mean(0)
        values, vectors_ = torch.linalg.eigh(torch.cov((x - centre).T, correction=0).reshape(dim, dim))
        values, vectors_ = values.flip(0).clamp_min(0), vectors_.flip(1)
        vectors_ = vectors_ * torch.where(vectors_.sum(0) < 0, -1.0, 1.0).double()
        if float(values[0]) <= 0:
            raise ValueError("a spec needs vectors that differ")
        leading = vectors_[:, : layout.axes] / (values[: layout.axes] + 1e-6 * values[0]).sqrt()
        centroids = centroids_of(x, layout.clusters, random)
        signs = torch.from_numpy(random.standard_normal((dim, REPEAT_BITS)))
        parts = (fourier, leading, centroids.T, signs)
        offsets = (
            torch.zeros(features // 2).double(),
            -(centre @ leading),
            -0.5 * centroids.square().sum(1),
            -(centre @ signs),
        )
        blank = cls(
            layout=layout,
            scale=scale,
            projection=torch.cat(parts, 1).float(),
            offset=torch.cat(offsets).float(),
            thresholds=torch.full((len(FAR_QUANTILES),), torch.inf),
            whitening=vectors_,
            expected=torch.zeros(layout.clusters, layout.dense).double(),
            weight=torch.ones(layout.clusters).double(),
        )
        return blank._refined((x.float() * scale).numpy()).to(device)

    def _refined(self, x: npt.NDArray[np.floating]) -> "Spec":
        """Thresholds, control variate, weights and units of the axes, from the features of the sample."""
        dense, member = _features(self, x)
        near = dense[:, self.layout.blocks["near"]].squeeze(1)
        size = member.sum(0)
        pull = 2.0  # so many pseudo-members with the overall mean: small clusters lean on the whole
        expected = (member.T @ dense + pull * dense.mean(0)) / (size + pull)[:, None]
        expected[:, 0] = 0.0
        share = size / len(x)
        where = self.layout.blocks["lin"]
        scatter = ((dense[:, where] - member @ expected[:, where]) @ self.whitening).square().mean(0)
        # axes along which nothing varies tell most, where there are rows enough to know that nothing does
        unsure = max(self.layout.dim / len(x) - _ENOUGH, 0.0)
        floor = (_LEAST_SCATTER + 0.4 * unsure) * scatter.mean()
        quantiles = torch.quantile(near[:20_000], torch.tensor(FAR_QUANTILES).double())
        return replace(
            self,
            thresholds=quantiles.float(),
            whitening=self.whitening / (scatter + floor).sqrt(),
            expected=expected,
            weight=(share + 0.2 / self.layout.clusters).rsqrt(),
        )

    def with_sentinels(self, sample: npt.NDArray[np.floating], sentinels: Sentinels) -> "Spec":
        """This spec, counting the vectors near sentinels as well; before `with_prompts`.

        Args:
            sample: [rows, dim], that the spec was fitted to.
            sentinels: In the space and scale of the sample.
        """
        scaled = Sentinels(sentinels.centroids / self.scale, sentinels.of)
        x = torch.from_numpy(np.asarray(sample, np.float64))
        directions, offsets = boundaries(_shortened(x / self.scale), scaled)
        of = torch.from_numpy(sentinels.of)
        blank = torch.zeros(self.layout.clusters, sentinels.count).double()
        return replace(
            self,
            layout=replace(self.layout, sentinels=sentinels.count),
            projection=torch.cat([self.projection.cpu(), directions.float()], 1),
            offset=torch.cat([self.offset.cpu(), offsets.float()]),
            # the mix explains nothing away: more of a topic that is bad is more that is bad
            expected=torch.cat([self.expected.cpu(), blank], 1),
            sentinel=torch.nn.functional.one_hot(of, sentinels.count).float(),
        ).to(str(self.device))

    def with_prompts(
        self, answers: npt.NDArray[np.floating], other: "Spec", prompts: npt.NDArray[np.floating]
    ) -> "Spec":
        """This spec, of the answers' side, scored given the prompts.

        Args:
            answers: [pairs, dim], at least `LEAST_PAIRS`, of the sample that the spec was fitted to.
            other: The prompts' spec.
            prompts: [pairs, dim of the prompts], row for row.
        """
        dense, member = _features(self, answers)
        beside, group = _features(other, prompts)
        where = other.layout.blocks["lin"]
        given = Given.fit(
            torch.cat([group, beside[:, where]], 1),
            torch.cat([dense, member], 1),
            self.layout.clusters,
            self.layout.blocks["rff"],
            self.weight.cpu(),
        )
        layout = replace(self.layout, given=(other.layout.clusters, other.layout.dim))
        return replace(self, given=given.to(self.device), layout=layout)

    @property
    def device(self) -> torch.device:
        """Where the spec lies."""
        return self.projection.device

    def to(self, device: str) -> "Spec":
        """The same spec on a device."""
        # one memory layout: a product of the same numbers laid out otherwise may round otherwise
        moved = {name: tensor.to(device).contiguous() for name, tensor in self._tensors().items()}
        given = self.given and self.given.to(device)
        return Spec(layout=self.layout, scale=self.scale, given=given, **moved)

    @cached_property
    def alone(self) -> "Spec":
        """The same without the other side."""
        return replace(self, given=None, layout=replace(self.layout, given=(0, 0)))

    def _tensors(self) -> dict[str, Tensor]:
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in every.items() if isinstance(value, Tensor)}

    @cached_property
    def quanta(self) -> Tensor:
        """f64 [width]: what one unit of each sum is worth, on the device."""
        return torch.from_numpy(self.layout.quanta).to(self.device)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything as arrays, for a snapshot; `from_arrays` gives the same spec back, bit for bit."""
        tensors = {name: tensor.cpu().numpy() for name, tensor in self._tensors().items()}
        where = self.layout
        own = [where.sentinels] if where.sentinels else []
        shape = np.array(
            [where.dim, where.features, where.clusters, where.axes, *where.given, *own], np.int64
        )
        given = {} if self.given is None else self.given.arrays()
        return {**tensors, **given, "layout": shape, "scale": np.array([self.scale])}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.generic]], device: str = "cpu") -> "Spec":
        """The spec that `arrays` was taken of."""
        every = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
        dim, features, clusters, axes, *more = every.pop("layout").tolist()
        layout = Layout(dim, features, clusters, axes, (more[0], more[1]), *more[2:])
        scale = float(every.pop("scale")[0])
        beside = Given.taken(every)
        return cls(layout=layout, scale=scale, given=beside, **every).to(device)


def _features(spec: Spec, x: npt.NDArray[np.floating]) -> tuple[Tensor, Tensor]:
    """Features of vectors [rows, dim], row by row: f64 [rows, dense] and cluster membership, on the CPU."""
    from gpu_scorers.fold import rows_of

    dense, cluster, _ = rows_of(spec, torch.from_numpy(np.ascontiguousarray(x)).to(spec.device))
    member = torch.nn.functional.one_hot(cluster, spec.layout.clusters).double().cpu()
    return dense.double().cpu() * torch.from_numpy(spec.layout.quanta[: spec.layout.dense]), member


def sign_weights() -> Tensor:
    """int64 [bits]: powers of two that make a code of the sign bits."""
    return 2 ** torch.arange(REPEAT_BITS)


def code_bin(code: Tensor) -> Tensor:
    """Bin of the repeat counter of each code: multiplicative hashing spreads neighbouring codes."""
    return (code * 2_654_435_761 % 2**32) * REPEAT_BINS // 2**32


def _shortened(x: Tensor) -> Tensor:
    """Rows [rows, dim] of usual norm 1, none longer than `NORM_LIMIT`."""
    shortened: Tensor = x * (NORM_LIMIT / x.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp(max=1.0)
    return shortened


def _orthogonal_features(dim: int, count: int, random: np.random.Generator) -> Tensor:
    """f64 [dim, count]: orthogonal directions with chi-distributed lengths (Yu et al. 2016)."""
    blocks = []
    for _ in range(-(-count // dim)):
        direction = np.linalg.qr(random.standard_normal((dim, dim)))[0]
        blocks.append(direction * np.linalg.norm(random.standard_normal((dim, dim)), axis=0))
    return torch.from_numpy(np.concatenate(blocks, axis=1)[:, :count])


def _bandwidth(x: Tensor, random: np.random.Generator) -> float:
    """Median squared distance between vectors: the kernel is exp(-|x-y|^2 / median)."""
    i, j = random.integers(len(x), size=(2, 4000))
    apart = (x[i] - x[j]).square().sum(1)
    apart = apart[apart > 0]
    return float(apart.median()) if len(apart) else 1.0
