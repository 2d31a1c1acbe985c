"""Changes of the spread around topics: squared coordinates on the leading axes, distance to the centroid."""

import torch
from torch import Tensor

from gpu_scorers import moments
from gpu_scorers.scores.scorer import Model, Scorer, Tested
from gpu_scorers.tails import f_tail
from gpu_scorers.view import View


def _axes_model(view: View) -> Model:
    return moments.fit(view.block("quad", "adjusted"), view.n)


def _axes_test(model: Model, view: View, unusual: Tensor) -> Tested:
    f, df1, df2 = moments.pseudo_f(model, view.block("quad", "adjusted"), view.n, unusual)
    return Tested(f_tail(f, df1, df2), f, torch.ones_like(f))


def _distance_model(view: View) -> Model:
    return moments.fit(view.block("near", "adjusted"), view.n)


def _distance_test(model: Model, view: View, unusual: Tensor) -> Tested:
    mean = view.block("near", "adjusted")
    f, df1, df2 = moments.pseudo_f(model, mean, view.n, unusual)
    # beside the p-value people get the distance itself, with what this mix of topics should have had
    observed = view.block("near", "mean").squeeze(-1)
    return Tested(f_tail(f, df1, df2), observed, observed - (mean - model["centre"]).squeeze(-1))


def _axes_follow(model: Model, view: View) -> Model:
    return moments.follow(model, view.block("quad", "adjusted"), view.n)


def _distance_follow(model: Model, view: View) -> Model:
    return moments.follow(model, view.block("near", "adjusted"), view.n)


QUAD = Scorer("quad", 3, "spread", _axes_model, _axes_test, _axes_follow)
SPREAD = Scorer("spread", 3, "spread", _distance_model, _distance_test, _distance_follow)
