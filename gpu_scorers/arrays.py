"""Fold, build and score for callers that hold numpy arrays: state stays numpy, the work is torch's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from gpu_scorers import fold as folding
from gpu_scorers.layout import Layout
from gpu_scorers.reference import Reference, held_out
from gpu_scorers.spec import Spec
from gpu_scorers.view import together, view

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


class Due(NamedTuple):
    """Windows [series, whole] of one spec, and the models [series, parameters] they are held against.

    ``recent`` [series, whole] are the sums of where each series has been of late.
    """

    spec: Spec
    models: Floats
    windows: Floats
    recent: Floats | None = None


def score(spec: Spec, models: Floats, windows: Floats, recent: Floats | None = None) -> Windows:
    """Score windows of one spec, see `Due`, in one batch."""
    return score_each([Due(spec, models, windows, recent)])[0]


@torch.inference_mode()
def score_each(every: Sequence[Due]) -> list[Windows]:
    """Score windows of several specs, all with ``recent`` or none; those of one layout in one batch.

    Few series are due at a time, so that calls cost more than numbers: only what needs its own spec is done
    spec by spec.
    """
    alike: dict[Layout, list[int]] = {}
    for place, due in enumerate(every):
        alike.setdefault(due.spec.alone.layout, []).append(place)
    found: dict[int, Windows] = {}
    for places in alike.values():
        parts = [every[place] for place in places]
        there = [torch.from_numpy(due.models).to(due.spec.device) for due in parts]
        seen = together([view(due.spec, torch.from_numpy(due.windows).to(due.spec.device)) for due in parts])
        lates = [
            view(due.spec, torch.from_numpy(due.recent).to(due.spec.device))
            for due in parts
            if due.recent is not None
        ]
        effective = torch.ones(len(seen.n), dtype=torch.float64, device=seen.n.device)
        reference = Reference(seen.spec, torch.cat(there), effective)
        scores = reference.judge(seen, together(lates) if lates else None)
        whole = [t.cpu().numpy() for t in (scores.p, scores.observed, scores.expected)]
        start = 0
        for place, due in zip(places, parts, strict=True):
            end = start + len(due.models)
            found[place] = Windows(*(part[start:end] for part in whole))
            start = end
    return [found[place] for place in range(len(every))]
