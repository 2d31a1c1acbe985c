"""What one side leads one to expect of the other: answers given their prompts.

Answers vary with what was asked, and what is asked comes in sessions and wanders over the day. The regression
of an answer's features on its prompt's cluster and coordinates is linear, so that it holds for means as for
vectors: a window of answers is adjusted by the sums of the prompts of the same buckets, and nothing is joined
or kept beside the sketches there are.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

#: Fewer pairs say nothing of answers given prompts.
LEAST_PAIRS = 64
#: Ridges tried, as shares of the regressors' sum of squares.
_RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
#: Pseudo-members that draw what a surprising cluster predicts to nothing.
_PULL = 2.0
_NAMES = ("prompts", "surprise", "left")


@dataclass(frozen=True)
class Given:
    """Two linear predictions: from the prompts, then from the answer clusters that they do not explain.

    Attributes:
        prompts: f64 [1 + prompt clusters + prompt dim, dense + clusters]; the first row is the constant.
        surprise: f64 [clusters, dense].
        left: f64 [3], variance of single answers that is left, on pairs not fitted to: of the Fourier
            features given the prompt, of the weighted clusters given it, of the former given both.
    """

    prompts: Tensor
    surprise: Tensor
    left: Tensor

    @classmethod
    def fit(cls, prompts: Tensor, answers: Tensor, clusters: int, rff: slice, weight: Tensor) -> "Given":
        """Fit to pairs.

        Args:
            prompts: f64 [pairs, prompt clusters + prompt dim], membership and scaled vectors.
            answers: f64 [pairs, dense + clusters], features and membership.
            clusters: Clusters of the answers.
            rff: Place of the answers' Fourier features.
            weight: f64 [clusters].
        """
        half = len(prompts) // 2
        tried = [
            cls._solve(prompts[:half], answers[:half], clusters, ridge)._checked(
                prompts[half:], answers[half:], rff, weight
            )
            for ridge in _RIDGES
        ]
        # of ridges that are about as good the least: what it takes away follows the mix of the day
        least = min(float(left[2]) for left in tried)
        best = next(i for i, left in enumerate(tried) if float(left[2]) <= 1.03 * least)
        whole = cls._solve(prompts, answers, clusters, _RIDGES[best])
        return cls(whole.prompts, whole.surprise, tried[best])

    @classmethod
    def _solve(cls, prompts: Tensor, answers: Tensor, clusters: int, ridge: float) -> "Given":
        x, y = prompts - prompts.mean(0), answers - answers.mean(0)
        slope = _ridge(x, y, ridge * float(x.square().sum()) / x.shape[1])
        left = y - x @ slope
        surprise = _ridge(left[:, -clusters:], left[:, :-clusters], _PULL)
        surprise[:, 0] = 0.0
        constant = answers.mean(0) - prompts.mean(0) @ slope
        return cls(torch.cat([constant[None], slope]), surprise, torch.ones(3, dtype=torch.float64))

    def _checked(self, prompts: Tensor, answers: Tensor, rff: slice, weight: Tensor) -> Tensor:
        clusters = len(weight)
        left = answers - self.prompts[0] - prompts @ self.prompts[1:]
        both = left[:, :-clusters] - left[:, -clusters:] @ self.surprise
        parts = (left[:, rff], left[:, -clusters:] * weight, both[:, rff])
        return torch.stack([part.var(0).sum() for part in parts])

    def expect(self, beside: Tensor) -> Tensor:
        """f64 [..., dense + clusters] from sums of the prompts, [..., 1 + clusters + dim], rows first."""
        expected: Tensor = (beside / beside[..., :1].clamp_min(1)) @ self.prompts
        return expected

    def to(self, device: str | torch.device) -> "Given":
        """The same on a device, laid out as `arrays` would restore it."""
        return Given(*(getattr(self, name).to(device).contiguous() for name in _NAMES))

    def arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """Everything as arrays, for a snapshot."""
        return {f"given/{name}": getattr(self, name).cpu().numpy() for name in _NAMES}

    @classmethod
    def taken(cls, tensors: dict[str, Tensor]) -> "Given | None":
        """What `arrays` gave, taken out of ``tensors``; None where there is nothing of it."""
        found = [tensors.pop(f"given/{name}", None) for name in _NAMES]
        return None if found[0] is None else cls(*(each for each in found if each is not None))


def _ridge(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    eye = torch.eye(x.shape[1], dtype=x.dtype)
    solved: Tensor = torch.linalg.solve(x.T @ x + max(penalty, 1e-9) * eye, x.T @ y)
    return solved
