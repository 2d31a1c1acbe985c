"""Shifts of the mean within topics: kernel, whitened, and along the single most moved axis."""

import math

import torch
from torch import Tensor

from gpu_scorers import moments
from gpu_scorers.scores.scorer import Model, Scorer, Tested
from gpu_scorers.tails import f_tail
from gpu_scorers.view import View, whitened

#: Square of the share of a predicted move that a prediction may be off by.
_MISFIT = 0.1
#: Moves of so many times the usual variance are usual.
_USUAL = 2.0


def _kernel_model(view: View) -> Model:
    model = moments.fit(view.block("rff", "adjusted"), view.n)
    # of a feature row of length 1 what its centroid does not explain is what single vectors scatter
    explained = view.spec.expected[:, view.spec.layout.blocks["rff"]].square().sum(-1)
    share = moments.overall(view.share, view.n)
    alone = (1 - share @ explained).clamp_min(0)[:, None]
    if view.spec.given is not None:
        alone = view.spec.given.left[2].expand_as(alone)
    foretold = moments.fit(view.block("rff", "foretold"), view.n)
    return {
        **model,
        "clumped": (1 - alone / model["trace"]).clamp(0, 1),
        "foretold": foretold["centre"],
        "roams": foretold["trace"],
    }


def strayed(model: Model, view: View) -> Tensor:
    """f64 [series], at least 1: how much more a mean may be off because the prompts moved.

    No prediction is believed to better than a share of the move that it predicts; what moves from bucket to
    bucket is in the scatter between them.
    """
    moved = (view.block("rff", "foretold") - model["foretold"]).square().sum(-1) * view.n
    beyond = (moved - _USUAL * model["roams"].squeeze(-1)).clamp_min(0)
    return 1 + _MISFIT * beyond / model["trace"].squeeze(-1)


def _kernel_test(model: Model, view: View, unusual: Tensor) -> Tested:
    f, df1, df2 = moments.pseudo_f(model, view.block("rff", "adjusted"), view.n, unusual)
    return Tested(f_tail(f, df1, df2), f, torch.ones_like(f))


def _direction_model(view: View) -> Model:
    mean = view.once(whitened)
    model = moments.fit(mean, view.n)
    spread, surer = moments.coordinate_spread(mean, view.n, model["centre"])
    return {**model, "spread": spread, "surer": surer}


def _whitened_model(view: View) -> Model:
    # topics in runs move some axes far more than others: each counts in units of its own scatter
    scale = view.once(_direction_model)["spread"].rsqrt()
    return {**moments.fit(view.once(whitened) * scale[:, None], view.n), "scale": scale}


def _whitened_test(model: Model, view: View, unusual: Tensor) -> Tested:
    f, df1, df2 = moments.pseudo_f(model, view.once(whitened) * model["scale"], view.n, unusual)
    return Tested(f_tail(f, df1, df2), f, torch.ones_like(f))


def _direction_test(model: Model, view: View, unusual: Tensor) -> Tested:
    t2, dof = moments.largest_t2(model, view.once(whitened), view.n, unusual)
    width = view.spec.layout.dim
    p = (f_tail(t2, torch.ones_like(t2), dof) * width).clamp(max=1.0)
    return Tested(p, t2, torch.full_like(t2, 2 * math.log(max(width, 2))))


def _kernel_follow(model: Model, view: View) -> Model:
    followed = moments.follow(model, view.block("rff", "adjusted"), view.n)
    return {**followed, "foretold": view.block("rff", "foretold")}


def _whitened_follow(model: Model, view: View) -> Model:
    return moments.follow(model, view.once(whitened) * model["scale"], view.n)


def _direction_follow(model: Model, view: View) -> Model:
    return moments.follow(model, view.once(whitened), view.n)


MMD_ADJ = Scorer("mmd_adj", 3, "mean", _kernel_model, _kernel_test, _kernel_follow)
WHITE_ADJ = Scorer("white_adj", 4, "mean", _whitened_model, _whitened_test, _whitened_follow)
MAXDIR_ADJ = Scorer("maxdir_adj", 4, "mean", _direction_model, _direction_test, _direction_follow)
