"""Collapse: one answer given over and over. Sign bits of a fixed projection, the bin most above its share."""

from torch import Tensor

from gpu_scorers import counts
from gpu_scorers.scores.scorer import Model, Scorer, Tested
from gpu_scorers.view import View


def _model(view: View) -> Model:
    return counts.fit(view.count("rep"), view.n)


def _test(model: Model, view: View, unusual: Tensor) -> Tested:
    return Tested(*counts.upper_tail(model, view.count("rep"), view.n))


def _follow(model: Model, view: View) -> Model:
    return counts.follow(model, view.count("rep"), view.n)


REPEATS = Scorer("repeats", 2, "repeats", _model, _test, _follow)
