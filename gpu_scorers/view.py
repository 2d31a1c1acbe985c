"""What the scorers look at: means per vector, and the same with the topic mix taken out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

from gpu_scorers.spec import Spec

T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """Sketches as means. Leading dimensions are free: [series] windows or [series, buckets] references.

    Attributes:
        spec: The frozen parts.
        n: f64 [...], vectors.
        mean: f64 [..., dense], mean feature row.
        adjusted: f64 [..., dense], the same less what the observed cluster shares predict. Topics are noise
            to every scorer but those of the mix, and this removes most of it without any state of its own.
        share: f64 [..., clusters].
        counts: f64 [..., far + clusters + bins], counts of the far, cluster and repeat blocks side by side.
    """

    spec: Spec
    n: Tensor
    mean: Tensor
    adjusted: Tensor
    share: Tensor
    counts: Tensor
    _known: dict[Callable[["View"], Any], Any] = field(default_factory=dict, repr=False)

    def once(self, of: Callable[["View"], T]) -> T:
        """What a function makes of this view, computed once: scorers share models and whitened means."""
        if of not in self._known:
            self._known[of] = of(self)
        found: T = self._known[of]
        return found

    def block(self, name: str, *, adjusted: bool) -> Tensor:
        """One block of the mean, [..., its width]."""
        return (self.adjusted if adjusted else self.mean)[..., self.spec.layout.blocks[name]]

    def count(self, name: str) -> Tensor:
        """One block of counts, [..., its width]."""
        where = self.spec.layout.blocks[name]
        first = self.spec.layout.blocks["far"].start
        return self.counts[..., where.start - first : where.stop - first]


def view(spec: Spec, sketches: Tensor) -> View:
    """Sketches, f64 [..., width], as means."""
    layout = spec.layout
    worth = sketches * spec.quanta
    n = worth[..., 0]
    mean = worth / n.clamp_min(1)[..., None]
    share = mean[..., layout.blocks["clu"]]
    dense = mean[..., : layout.dense]
    return View(
        spec=spec,
        n=n,
        mean=dense,
        adjusted=dense - share @ spec.expected,
        share=share,
        counts=worth[..., layout.blocks["far"].start :],
    )
