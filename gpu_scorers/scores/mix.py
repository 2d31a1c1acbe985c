"""Changes of the topic mix: kernel MMD as it stands, all cluster shares, the one most above its own."""

import torch
from torch import Tensor

from gpu_scorers import counts, moments
from gpu_scorers.scores.scorer import Model, Scorer, Tested
from gpu_scorers.tails import f_tail
from gpu_scorers.view import View


def _kernel_model(view: View) -> Model:
    mean = view.block("rff", "asked")
    # a feature row has length 1, so the variance of single vectors is known without having been kept
    within = 1 - moments.overall(mean, view.n).square().sum(-1)
    return moments.fit(mean, view.n, _left(view, within, 0))


def _kernel_test(model: Model, view: View, unusual: Tensor) -> Tested:
    f, df1, df2 = moments.pseudo_f(model, view.block("rff", "asked"), view.n, unusual)
    return Tested(f_tail(f, df1, df2), f, torch.ones_like(f))


def effective_share(view: View) -> Tensor:
    """f64 [series]: effective over counted vectors; 1 for i.i.d., about 1/(2 L - 1) in runs of L."""
    model = view.once(_kernel_model)
    return (model["within"] / model["trace"]).clamp(max=1.0).squeeze(-1)


def _left(view: View, within: Tensor, place: int) -> Tensor:
    """Variance of single vectors: of all there is, or what the prompts leave of it."""
    given = view.spec.given
    return within if given is None else given.left[place].expand_as(within)


def _shares_model(view: View) -> Model:
    weight = view.spec.weight
    share = moments.overall(view.share, view.n)
    within = (share * (1 - share) * weight.square()).sum(-1)
    return moments.fit((view.share - view.usual) * weight, view.n, _left(view, within, 1))


def _shares_test(model: Model, view: View, unusual: Tensor) -> Tested:
    share = (view.share - view.usual) * view.spec.weight
    f, df1, df2 = moments.pseudo_f(model, share, view.n, unusual)
    return Tested(f_tail(f, df1, df2), f, torch.ones_like(f))


def _largest_model(view: View) -> Model:
    # a run of one topic is one event, of topics seen and unseen: every cluster clumps at least as all do
    shares = view.once(_shares_model)
    clump = (shares["trace"] / shares["within"]).squeeze(-1)
    return counts.fit(view.count("clu"), view.n, view.usual, clump)


def _largest_test(model: Model, view: View, unusual: Tensor) -> Tested:
    return Tested(*counts.upper_tail(model, view.count("clu"), view.n, view.usual))


def _kernel_follow(model: Model, view: View) -> Model:
    return moments.follow(model, view.block("rff", "asked"), view.n)


def _shares_follow(model: Model, view: View) -> Model:
    return moments.follow(model, (view.share - view.usual) * view.spec.weight, view.n)


def _largest_follow(model: Model, view: View) -> Model:
    return counts.follow(model, view.count("clu"), view.n, view.usual)


MMD = Scorer("mmd", 2, "mix", _kernel_model, _kernel_test, _kernel_follow)
CLUS = Scorer("clus", 3, "mix", _shares_model, _shares_test, _shares_follow)
MAXCLUS = Scorer("maxclus", 3, "mix", _largest_model, _largest_test, _largest_follow)
