"""What an online MMD detector does for each row, to be compared with.

Our own copy of the update of alibi-detect's ``MMDDriftOnline`` (PyTorch backend): the kernel of the new row
with the reference and of the window with itself, the estimate from both. Its thresholds and their bootstrap
are left out.
"""

import torch
from torch import Tensor


class OnlineMmd:
    """MMD between a fixed reference and the last ``window`` rows."""

    def __init__(self, reference: Tensor, window: int) -> None:
        self._window = window
        order = torch.randperm(len(reference), generator=torch.Generator().manual_seed(0))
        kept = len(reference) - 2 * window
        self._reference = reference
        self._sub = order[:kept]
        self._sigma = torch.cdist(reference[:500], reference[:500]).median()
        k_xx = self._kernel(reference[self._sub], reference[self._sub]).fill_diagonal_(0)
        self._k_xx = k_xx.sum() / (kept * (kept - 1))
        self._rows = reference[order[kept : kept + window]]
        self._k_xy = self._kernel(reference, self._rows)

    def update(self, row: Tensor) -> float:
        """Take one row, [1, dim], and return the statistic."""
        self._rows = torch.cat([self._rows[1 - self._window :], row])
        self._k_xy = torch.cat([self._k_xy[:, 1 - self._window :], self._kernel(self._reference, row)], 1)
        k_yy = self._kernel(self._rows, self._rows).fill_diagonal_(0)
        own = k_yy.sum() / (self._window * (self._window - 1))
        return float(self._k_xx + own - 2 * self._k_xy[self._sub].mean())

    def _kernel(self, x: Tensor, y: Tensor) -> Tensor:
        square = torch.cdist(x, y).square()
        return torch.exp(-square / (2 * self._sigma**2))
