"""More vectors far from every topic than the reference had, for the topics that there are."""

from torch import Tensor

from gpu_scorers import counts
from gpu_scorers.scores.scorer import Model, Scorer, Tested
from gpu_scorers.view import View


def _usual(view: View) -> Tensor:
    """Share of far vectors that topics and prompts lead one to expect."""
    return view.block("far", "mean") - view.block("far", "adjusted")


def _model(view: View) -> Model:
    return counts.fit(view.count("far"), view.n, _usual(view))


def _test(model: Model, view: View, unusual: Tensor) -> Tested:
    return Tested(*counts.upper_tail(model, view.count("far"), view.n, _usual(view)))


def _follow(model: Model, view: View) -> Model:
    return counts.follow(model, view.count("far"), view.n, _usual(view))


OUT = Scorer("out", 5, "tails", _model, _test, _follow)
