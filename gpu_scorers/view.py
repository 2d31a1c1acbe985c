"""What the scorers look at: means per vector, and the same less what topics and prompts lead to expect."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import torch
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
        adjusted: f64 [..., dense], the same less what the observed cluster shares predict (and the prompts,
            where there are some). Topics are noise to every scorer but those of the mix, and this removes
            most of it without any state of its own.
        asked: f64 [..., dense], the mean less what the prompts predict; without prompts the mean itself.
        share: f64 [..., clusters].
        foretold: f64 [..., dense], what the prompts predict; without prompts 0.
        usual: f64 [..., clusters], the shares that the prompts predict; without prompts 0.
        counts: f64 [..., far + clusters + bins], counts of the far, cluster and repeat blocks side by side.
    """

    spec: Spec
    n: Tensor
    mean: Tensor
    adjusted: Tensor
    asked: Tensor
    share: Tensor
    foretold: Tensor
    usual: Tensor
    counts: Tensor
    _known: dict[Callable[["View"], Any], Any] = field(default_factory=dict, repr=False)

    def once(self, of: Callable[["View"], T]) -> T:
        """What a function makes of this view, computed once: scorers share models and whitened means."""
        if of not in self._known:
            self._known[of] = of(self)
        found: T = self._known[of]
        return found

    def block(self, name: str, of: Literal["mean", "asked", "adjusted", "foretold"]) -> Tensor:
        """One block of a mean, [..., its width]."""
        mean: Tensor = getattr(self, of)
        return mean[..., self.spec.layout.blocks[name]]

    def count(self, name: str) -> Tensor:
        """One block of counts, [..., its width]."""
        where = self.spec.layout.blocks[name]
        first = self.spec.layout.blocks["far"].start
        return self.counts[..., where.start - first : where.stop - first]


def whitened(view: View) -> Tensor:
    """f64 [..., dim]: the adjusted mean along the whitened axes."""
    return view.block("lin", "adjusted") @ view.spec.whitening


def together(views: Sequence[View]) -> View:
    """Windows of several specs of one layout, one after another, as tests look at them.

    What a test takes of a spec is here one a window: the weights, and the whitened means.
    """
    if len(views) == 1:
        return views[0]
    first = views[0]
    weight = torch.cat([each.spec.weight.expand(len(each.n), -1) for each in views])
    names = ("n", "mean", "adjusted", "asked", "share", "foretold", "usual", "counts")
    parts: dict[str, Any] = {name: torch.cat([getattr(each, name) for each in views]) for name in names}
    joined = View(spec=replace(first.spec.alone, weight=weight), **parts)
    joined._known[whitened] = torch.cat([whitened(each) for each in views])
    return joined


def view(spec: Spec, sketches: Tensor) -> View:
    """Sketches, f64 [..., whole], as means."""
    layout, given = spec.layout, spec.given
    worth = sketches * spec.quanta
    n = worth[..., 0]
    mean = worth[..., : layout.width] / n.clamp_min(1)[..., None]
    share = mean[..., layout.blocks["clu"]]
    dense = mean[..., : layout.dense]
    if given is None:
        asked, usual, rows = dense, torch.zeros_like(share), spec.expected
    else:
        expected = given.expect(worth[..., layout.width :])
        asked, usual, rows = (
            dense - expected[..., : layout.dense],
            expected[..., layout.dense :],
            given.surprise,
        )
    return View(
        spec=spec,
        n=n,
        mean=dense,
        adjusted=asked - (share - usual) @ rows,
        asked=asked,
        share=share,
        foretold=dense - asked,
        usual=usual,
        counts=worth[..., layout.blocks["far"].start : layout.width],
    )
