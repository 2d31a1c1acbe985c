"""More vectors near a sentinel than the reference had; one scorer for each sentinel.

What the topic mix or the prompts lead one to expect is not taken off: more of a topic that is bad is bad.
"""

from functools import cache

from torch import Tensor

from gpu_scorers import counts
from gpu_scorers.scores.scorer import Model, Scorer, Tested
from gpu_scorers.view import View


@cache
def sentinel(place: int) -> Scorer:
    """The scorer of the sentinel at a place of the sketches' block."""

    def near(view: View) -> Tensor:
        return view.count("bad")[..., place : place + 1]

    def model(view: View) -> Model:
        return counts.fit(near(view), view.n)

    def test(model: Model, view: View, unusual: Tensor) -> Tested:
        return Tested(*counts.upper_tail(model, near(view), view.n))

    def follow(model: Model, view: View) -> Model:
        return counts.follow(model, near(view), view.n)

    return Scorer("sentinel", 1, "sentinel", model, test, follow)
