"""Fold, build and score for callers that hold numpy arrays: state stays numpy, the work is torch's."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from gpu_scorers import fold as folding
from gpu_scorers.reference import Reference, held_out
from gpu_scorers.spec import Spec

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Model:
    """What is kept of one series' reference; its buckets may be dropped.

    Attributes:
        model: f64 [parameters].
        effective: Effective over counted vectors, 1 for i.i.d.
        null: f64 [buckets, scorers], held-out parametric p-values.
    """

    model: Floats
    effective: float
    null: Floats


@dataclass(frozen=True)
class Windows:
    """Scored windows, f64 [series, scorers] each."""

    p: Floats
    observed: Floats
    expected: Floats


@torch.inference_mode()
def fold(spec: Spec, sketches: Floats, vectors: npt.NDArray[np.floating], targets: Ints) -> None:
    """Add vectors [rows, dim] to sketches [series, width] in place; targets [slices, rows], -1 for none."""
    own = torch.from_numpy(sketches)
    there = own.to(spec.device)
    folding.fold(
        spec, there, torch.from_numpy(vectors).to(spec.device), torch.from_numpy(targets).to(spec.device)
    )
    if there is not own:
        own.copy_(there)


@torch.inference_mode()
def build(spec: Spec, buckets: Floats) -> list[Model]:
    """Models of series from their reference buckets, [series, buckets, width], in one batch."""
    there = torch.from_numpy(buckets).to(spec.device)
    reference = Reference.build(spec, there)
    parts = (reference.model, reference.effective, held_out(spec, there))
    model, effective, null = (part.cpu().numpy() for part in parts)
    return [Model(*each) for each in zip(model, effective.tolist(), null, strict=True)]


@torch.inference_mode()
def score(spec: Spec, models: Floats, windows: Floats, recent: Floats | None = None) -> Windows:
    """Windows [series, whole] against their series' models [series, parameters], in one batch.

    ``recent`` [series, whole] are the sums of where each series has been of late.
    """
    there = torch.from_numpy(models).to(spec.device)
    effective = torch.ones(len(models), dtype=torch.float64, device=spec.device)
    late = None if recent is None else torch.from_numpy(recent).to(spec.device)
    scores = Reference(spec, there, effective).score(torch.from_numpy(windows).to(spec.device), late)
    return Windows(*(t.cpu().numpy() for t in (scores.p, scores.observed, scores.expected)))
