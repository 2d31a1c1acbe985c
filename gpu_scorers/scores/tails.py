"""More vectors far from every topic than the reference had."""

from torch import Tensor

from gpu_scorers import counts
from gpu_scorers.scores.scorer import Model, Scorer, Tested
from gpu_scorers.view import View


def _model(view: View) -> Model:
    return counts.fit(view.count("far"), view.n)


def _test(model: Model, view: View, unusual: Tensor) -> Tested:
    far = view.count("far")
    p, top = counts.upper_tail(model, far, view.n)
    observed = (far / view.n[:, None]).gather(1, top[:, None]).squeeze(1)
    expected = (model["seen"] / model["total"]).gather(1, top[:, None]).squeeze(1)
    return Tested(p, observed, expected)


OUT = Scorer("out", 1, "tails", _model, _test)
