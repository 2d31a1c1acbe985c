"""Vectors in, sketches out: one GEMM, cosines and sines, and additions that are exact in any order."""

import os

import torch
from torch import Tensor

from gpu_scorers.layout import QUANTUM, REPEAT_BITS
from gpu_scorers.spec import NORM_LIMIT, Spec, code_bin, sign_weights

# Shards are folded side by side; threads that wait for each other within one small product cost more than
# they give (tenfold on two busy cores). Who knows better sets OMP_NUM_THREADS.
if "OMP_NUM_THREADS" not in os.environ:
    torch.set_num_threads(1)

#: Rows folded at a time: the features stay in the cache.
CHUNK = 256
#: Rows are padded to a multiple of this: a GEMM of another height may round otherwise.
_TILE = 64
#: No feature of one row exceeds this many quanta: 2**23 rows still sum exactly.
_LIMIT = 2.0**30


def rows_of(spec: Spec, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What each vector adds to a sketch.

    Args:
        spec: The frozen parts.
        vectors: [rows, dim], any float type, on the spec's device.

    Returns:
        f32 [rows, dense] whole numbers of quanta, int64 [rows] nearest centroid, int64 [rows] repeat bin.
    """
    layout, where = spec.layout, spec.layout.blocks
    rows = len(vectors)
    x = vectors.new_zeros((-(-rows // _TILE) * _TILE, layout.dim), dtype=torch.float32)
    torch.mul(vectors.float(), 1.0 / spec.scale, out=x[:rows])
    square = x.square().sum(1)
    shorten = (NORM_LIMIT / square.sqrt().clamp_min(1e-12)).clamp(max=1.0)
    if bool((shorten < 1).any()):
        x *= shorten[:, None]
        square = x.square().sum(1)
    y = torch.addmm(spec.offset, x, spec.projection)
    half = layout.features // 2
    widths = [half, layout.axes, layout.clusters, REPEAT_BITS]
    phase, axes, affinity, signs, beyond = torch.split(y, [*widths, y.shape[1] - sum(widths)], dim=1)
    best, cluster = affinity.max(1)
    near = (square - 2 * best).clamp_min(0)
    out = x.new_zeros(len(x), layout.dense)
    out[:, where["lin"]] = x
    fourier = out[:, where["rff"]]
    torch.cos(phase, out=fourier[:, :half])
    torch.sin(phase, out=fourier[:, half:])
    fourier *= half**-0.5
    out[:, where["near"]] = near[:, None]
    torch.square(axes, out=out[:, where["quad"]])
    counted = out[:, where["lin"].start : where["quad"].stop]
    counted.mul_(1.0 / QUANTUM).round_().clamp_(-_LIMIT, _LIMIT)
    out[:, where["far"]] = (near[:, None] > spec.thresholds).float()
    if spec.sentinel is not None:
        out[:, where["bad"]] = ((beyond > 0).float() @ spec.sentinel > 0).float()
    out[:, 0] = 1.0
    code = ((signs > 0).long() * sign_weights().to(x.device)).sum(1)
    return out[:rows], cluster[:rows], code_bin(code[:rows])


def empty(spec: Spec, series: int) -> Tensor:
    """f64 [series, width]: sketches of nothing."""
    return torch.zeros(series, spec.layout.width, dtype=torch.float64, device=spec.device)


def fold(spec: Spec, sketches: Tensor, vectors: Tensor, series: Tensor) -> Tensor:
    """Add vectors to sketches, in place.

    Args:
        spec: The frozen parts.
        sketches: f64 [series, width]; whole numbers of `Layout.quanta`.
        vectors: [rows, dim], any float type, finite.
        series: int64 [rows] or [slices, rows], the sketch each row goes to; -1 for none.

    Returns:
        ``sketches``. The same rows in any order and any chunking give the same bits on one kind of device.
    """
    layout = spec.layout
    flat = sketches.view(-1)
    targets = series.reshape(-1, len(vectors))
    for start in range(0, len(vectors), CHUNK):
        dense, cluster, code = rows_of(spec, vectors[start : start + CHUNK])
        wide = dense.double()
        for into in targets[:, start : start + CHUNK]:
            keep = into >= 0
            whole = bool(keep.all())
            to = into if whole else into[keep]
            if len(to) == 0:
                continue
            rows, a, b = (wide, cluster, code) if whole else (wide[keep], cluster[keep], code[keep])
            if len(sketches) == 1:
                sketches[0, : layout.dense] += rows.sum(0)
            else:
                sketches[:, : layout.dense].index_add_(0, to, rows)
            one = torch.ones_like(to, dtype=torch.float64)
            flat.index_add_(0, to * layout.width + layout.blocks["clu"].start + a, one)
            flat.index_add_(0, to * layout.width + layout.blocks["rep"].start + b, one)
    return sketches
