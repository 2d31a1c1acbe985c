"""Reference buckets to a compact model per series, and windows scored against it, all series in one call."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gpu_scorers.layout import Layout
from gpu_scorers.scores import Scorer, scorers
from gpu_scorers.scores.mean import MMD_ADJ, strayed
from gpu_scorers.scores.mix import CLUS, effective_share
from gpu_scorers.spec import Spec
from gpu_scorers.view import View, view

#: Fewer reference buckets say nothing about their own variance.
LEAST_BUCKETS = 4


@dataclass(frozen=True)
class Scores:
    """Windows against their references: parametric p, a value and its expectation, f64 [series, scorers]."""

    p: Tensor
    observed: Tensor
    expected: Tensor


@dataclass(frozen=True)
class Reference:
    """Models of ``series`` references of one spec, flat, so that they stack; the buckets may be dropped.

    Attributes:
        spec: The frozen parts the buckets were folded with.
        model: f64 [series, parameters].
        effective: f64 [series], effective over counted vectors (1 for i.i.d.).
    """

    spec: Spec
    model: Tensor
    effective: Tensor

    @classmethod
    def build(cls, spec: Spec, buckets: Tensor) -> "Reference":
        """From sketches of buckets, f64 [series, buckets, whole]; none may be empty.

        Raises:
            ValueError: Fewer than 4 buckets.
        """
        if buckets.shape[1] < LEAST_BUCKETS:
            raise ValueError(f"a reference needs at least {LEAST_BUCKETS} buckets")
        seen = view(spec, buckets)
        parts = [tensor for scorer in scorers(spec.layout) for tensor in seen.once(scorer.model).values()]
        return cls(spec, torch.cat(parts, 1), effective_share(seen))

    @classmethod
    def stack(cls, references: Sequence["Reference"]) -> "Reference":
        """References of one spec as one, in order."""
        models = torch.cat([reference.model for reference in references])
        return cls(references[0].spec, models, torch.cat([r.effective for r in references]))

    def score(self, windows: Tensor, recent: Tensor | None = None) -> Scores:
        """Windows against their series' references.

        Args:
            windows: f64 [series, whole].
            recent: f64 [series, whole], sums of where each series has been of late: the scatter is the
                reference's, its centre this. What is asked wanders over the day; None: it does not.
        """
        late = None if recent is None else view(self.spec, recent)
        return self.judge(view(self.spec, windows), late)

    def judge(self, seen: View, late: View | None) -> Scores:
        """`score` of windows that are means already."""
        models = self._models()
        if late is not None:
            models = {scorer: scorer.follow(model, late) for scorer, model in models.items()}
        # what scatters from vector to vector does not grow with the mix: only what comes in runs does
        asked = strayed(models[MMD_ADJ], seen)
        mixed = CLUS.test(models[CLUS], seen, asked)
        beyond = mixed.observed.clamp_min(1.0) - 1
        unusual = asked + beyond * models[MMD_ADJ]["clumped"].squeeze(-1)
        tested = [
            mixed
            if scorer is CLUS
            else scorer.test(model, seen, asked if scorer.family == "mix" else unusual)
            for scorer, model in models.items()
        ]
        columns = ([t.p for t in tested], [t.observed for t in tested], [t.expected for t in tested])
        return Scores(*(torch.stack(column, 1) for column in columns))

    def _models(self) -> dict[Scorer, dict[str, Tensor]]:
        """Each scorer's model, cut out of the flat one."""
        models: dict[Scorer, dict[str, Tensor]] = {}
        start = 0
        for scorer, shape in zip(scorers(self.spec.layout), _shapes(self.spec), strict=True):
            models[scorer] = {}
            for name, width in shape.items():
                models[scorer][name] = self.model[:, start : start + width]
                start += width
        return models


def held_out(spec: Spec, buckets: Tensor, folds: int = 4) -> Tensor:
    """Null p-values: each bucket scored against a reference of the other folds.

    Folds are contiguous, so that dependence between neighbouring buckets does not flatter the result. Few
    buckets are held out one by one, fewer than 5 not at all.

    Returns:
        f64 [series, buckets, scorers].
    """
    count, columns = buckets.shape[1], len(scorers(spec.layout))
    if count - -(-count // folds) < LEAST_BUCKETS:
        folds = count
    if count - 1 < LEAST_BUCKETS:
        return torch.empty(len(buckets), 0, columns, dtype=torch.float64, device=buckets.device)
    edges = [fold * count // folds for fold in range(folds + 1)]
    p = buckets.new_empty(len(buckets), count, columns)
    # folds of one size are built and scored side by side
    for size in sorted({high - low for low, high in pairwise(edges)}):
        lows = [low for low, high in pairwise(edges) if high - low == size]
        out = torch.tensor([[*range(low, low + size)] for low in lows], device=buckets.device)
        rest = torch.tensor([[*range(low), *range(low + size, count)] for low in lows], device=buckets.device)
        reference = Reference.build(spec, buckets[:, rest].flatten(0, 1))
        every = Reference(
            spec, *(t.repeat_interleave(size, 0) for t in (reference.model, reference.effective))
        )
        held = every.score(buckets[:, out].flatten(0, 2)).p
        p[:, out.flatten()] = held.reshape(len(buckets), -1, columns)
    return p


def _shapes(spec: Spec) -> list[dict[str, int]]:
    """Widths of the models' tensors, scorer by scorer, found by fitting them to a blank reference once."""
    if spec.layout not in _known:
        blank = torch.ones(1, LEAST_BUCKETS, spec.layout.whole, dtype=torch.float64, device=spec.device)
        models = [scorer.model(view(spec, blank)) for scorer in scorers(spec.layout)]
        _known[spec.layout] = [{name: part.shape[1] for name, part in model.items()} for model in models]
    return _known[spec.layout]


_known: dict[Layout, list[dict[str, int]]] = {}
