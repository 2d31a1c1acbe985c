"""Collapse: one answer given over and over. Sign bits of a fixed projection, the bin most above its share."""

from torch import Tensor

from gpu_scorers import counts
from gpu_scorers.scores.scorer import Model, Scorer, Tested
from gpu_scorers.view import View


def _model(view: View) -> Model:
    return counts.fit(view.count("rep"), view.n)


def _test(model: Model, view: View, unusual: Tensor) -> Tested:
    bins = view.count("rep")
    p, top = counts.upper_tail(model, bins, view.n)
    observed = (bins / view.n[:, None]).gather(1, top[:, None]).squeeze(1)
    expected = (model["seen"] / model["total"]).gather(1, top[:, None]).squeeze(1)
    return Tested(p, observed, expected)


REPEATS = Scorer("repeats", 1, "repeats", _model, _test)
