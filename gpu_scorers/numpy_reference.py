"""The same fold and statistics in plain numpy, one series at a time: what the batched torch code is held to.

Written for reading: every formula stands once, without batching, flattening or devices.
"""

import math

import numpy as np
import numpy.typing as npt
import scipy.special
import scipy.stats

from gpu_scorers.layout import FAR_QUANTILES, QUANTUM, REPEAT_BINS, REPEAT_BITS
from gpu_scorers.spec import NORM_LIMIT, Spec

Floats = npt.NDArray[np.float64]


def sketch(spec: Spec, vectors: npt.NDArray[np.floating]) -> Floats:
    """Sketch of vectors [rows, dim]: f64 [width] whole numbers of quanta."""
    layout, where = spec.layout, spec.layout.blocks
    x = vectors.astype(np.float64) / spec.scale
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    x = x * np.minimum(NORM_LIMIT / np.maximum(norm, 1e-12), 1.0)
    y = x @ spec.projection.numpy().astype(np.float64) + spec.offset.numpy()
    half = layout.features // 2
    parts = np.cumsum([half, layout.axes, layout.clusters, REPEAT_BITS])
    phase, axes, affinity, signs, beyond = np.split(y, parts, axis=1)
    near = np.maximum((x**2).sum(1) - 2 * affinity.max(1), 0)
    sums = np.zeros(layout.width)
    sums[0] = len(x)
    sums[where["lin"]] = np.round(x / QUANTUM).sum(0)
    fourier = np.concatenate([np.cos(phase), np.sin(phase)], axis=1) / math.sqrt(half)
    sums[where["rff"]] = np.round(fourier / QUANTUM).sum(0)
    sums[where["near"]] = np.round(near / QUANTUM).sum()
    sums[where["quad"]] = np.round(axes**2 / QUANTUM).sum(0)
    sums[where["far"]] = [(near > spec.thresholds.numpy()[i]).sum() for i in range(len(FAR_QUANTILES))]
    if spec.sentinel is not None:
        sums[where["bad"]] = ((beyond > 0) @ spec.sentinel.numpy() > 0).sum(0)
    sums[where["clu"]] = np.bincount(affinity.argmax(1), minlength=layout.clusters)
    code = (signs > 0).astype(np.int64) @ 2 ** np.arange(REPEAT_BITS)
    sums[where["rep"]] = np.bincount(
        code * 2_654_435_761 % 2**32 * REPEAT_BINS // 2**32, minlength=REPEAT_BINS
    )
    return sums


def p_values(spec: Spec, buckets: Floats, window: Floats, recent: Floats | None = None) -> dict[str, float]:
    """Parametric p-value of every scorer: one window [whole] against reference buckets [buckets, whole].

    Sentinels go by number. The centre is that of ``recent`` [whole] where it is given.
    """
    layout = spec.layout
    late = [] if recent is None else [recent]
    every = np.stack([*buckets, *late, window]) * layout.quanta
    some = len(buckets)
    n = every[:, 0]
    mean = every[:, : layout.width] / n[:, None]
    share = mean[:, layout.blocks["clu"]]
    if spec.given is None:
        asked, usual, rows = mean[:, : layout.dense], np.zeros_like(share), spec.expected.numpy()
    else:
        beside = every[:, layout.width :]
        predicted = (beside / np.maximum(beside[:, :1], 1)) @ spec.given.prompts.numpy()
        asked, usual = mean[:, : layout.dense] - predicted[:, : layout.dense], predicted[:, layout.dense :]
        rows = spec.given.surprise.numpy()
    surprise = share - usual
    adjusted = asked - surprise @ rows
    weight = spec.weight.numpy()
    overall = every[:some].sum(0) / n[:some].sum()

    def block(name: str, table: Floats) -> Floats:
        part: Floats = table[:, layout.blocks[name]]
        return part

    def moments(values: Floats, within: float | None) -> tuple[Floats, Floats, dict[str, float]]:
        centre, spread, model = _moments(values[:some], n[:some], within)
        return (centre, spread, model) if recent is None else (values[-2], spread, {**model, "total": n[-2]})

    def quadratic(values: Floats, within: float | None = None, unusual: float = 1.0) -> tuple[float, float]:
        """Pseudo-F and its p-value."""
        centre, _, model = moments(values, within)
        statistic = ((values[-1] - centre) ** 2).sum() / _variance(model, n[-1], unusual)
        p = scipy.stats.f.sf(statistic, model["directions"], model["directions"] * model["dof"])
        return float(statistic), float(p)

    def direction(values: Floats) -> float:
        centre, spread, model = moments(values, None)
        variance = _variance(model, n[-1], unusual)
        t2 = ((values[-1] - centre) ** 2 / (spread * variance / model["trace"])).max()
        return min(1.0, float(scipy.stats.f.sf(t2, 1, model["dof"] * model["surer"])) * layout.dim)

    def counts(name: str, usual: Floats | None = None, clump: float = 1.0) -> float:
        values = block(name, every)
        return _upper_tail(values, n, np.zeros_like(values) if usual is None else usual, some, clump)

    fourier = block("rff", asked)
    within_fourier = 1 - (overall[layout.blocks["rff"]] ** 2).sum()
    p = overall[layout.blocks["clu"]]
    within_shares = (p * (1 - p) * weight**2).sum()
    alone = 1 - p @ (spec.expected.numpy()[:, layout.blocks["rff"]] ** 2).sum(1)
    if spec.given is not None:
        within_fourier, within_shares, alone = spec.given.left.tolist()
    foretold = block("rff", mean[:, : layout.dense] - asked)
    centre = (
        foretold[-2] if recent is not None else (foretold[:some] * n[:some, None]).sum(0) / n[:some].sum()
    )
    _, _, model = moments(block("rff", adjusted), None)
    beyond = ((foretold[-1] - centre) ** 2).sum() * n[-1] - 2 * moments(foretold, None)[2]["trace"]
    strayed = 1 + 0.1 * max(beyond, 0.0) / model["trace"]
    statistic, p_shares = quadratic(surprise * weight, within_shares, strayed)
    _, _, model = moments(block("rff", adjusted), None)
    clumped = min(max(1 - max(alone, 0.0) / model["trace"], 0.0), 1.0)
    unusual = strayed + (max(statistic, 1.0) - 1) * clumped
    _, _, model = moments(surprise * weight, within_shares)
    clump = model["trace"] / within_shares
    bad = block("bad", every)
    near = [_upper_tail(one, n, np.zeros_like(one), some, 1.0) for one in bad.T[:, :, None]]
    whitened = block("lin", adjusted) @ spec.whitening.numpy()
    return {
        "mmd_adj": quadratic(block("rff", adjusted), unusual=unusual)[1],
        "white_adj": quadratic(whitened / np.sqrt(moments(whitened, None)[1]), unusual=unusual)[1],
        "maxdir_adj": direction(whitened),
        "mmd": quadratic(fourier, within_fourier, strayed)[1],
        "clus": p_shares,
        "maxclus": counts("clu", usual, clump),
        "quad": quadratic(block("quad", adjusted), unusual=unusual)[1],
        "spread": quadratic(block("near", adjusted), unusual=unusual)[1],
        "out": counts("far", block("far", mean) - block("far", adjusted)),
        "repeats": counts("rep"),
        **{f"sentinel {place}": p for place, p in enumerate(near)},
    }


def _moments(mean: Floats, n: Floats, within: float | None) -> tuple[Floats, Floats, dict[str, float]]:
    """Centre, per-coordinate spread and the scalars of one block's reference."""
    buckets, width = mean.shape
    total = n.sum()
    centre = (mean * n[:, None]).sum(0) / total
    gram = (mean - centre) @ (mean - centre).T * np.sqrt(np.outer(n, n))
    free = buckets - 1
    trace = max(np.trace(gram) / free, 1e-30)
    square = free**2 / ((free - 1) * (free + 2)) * ((gram**2).sum() / free**2 - trace**2 / free)
    square = min(max(square, trace**2 / min(width, 20 * buckets)), trace**2)
    directions = trace**2 / square
    inflation, squares = 1.0, 0.0
    for lag in range(1, max(1, min(4, buckets // 6)) + 1):
        serial = np.trace(gram, lag) / (buckets - lag) / max(np.trace(gram) / buckets, 1e-30) + 1 / buckets
        serial = min(max(serial, 0.0), 0.95)
        if serial <= 2 / math.sqrt(buckets * directions):
            break
        inflation += 2 * serial
        squares += 2 * serial**2
    size = (total - (n**2).sum() / total) / free
    trace *= free / max(buckets - inflation, 1.0)
    intra = 0.0
    if within is not None:
        intra = min(max((trace - within) / (trace + (size - 1) * within), 0.0), 1.0)
    own = (n[:, None] * (mean - centre) ** 2).sum(0) / free
    usual = own.mean() + 1e-30
    differ = 0.02
    if width > 1:
        chance = float(scipy.special.polygamma(1, free / 2))
        differ = max(np.log(np.maximum(own, 0.01 * usual)).var(ddof=1) - chance, differ)
    prior = max((1 + math.sqrt(1 + 2 * differ)) / differ, 0.1 * free)
    model = {
        "trace": trace,
        "directions": directions,
        "dof": max(buckets / (1 + squares), 3.0) - 1,
        "inflation": inflation,
        "total": total,
        "usual": size,
        "surer": 1 + prior / free,
        "intra": intra,
        "within": math.nan if within is None else within,
    }
    return centre, (free * own + prior * usual) / (free + prior), model


def _variance(model: dict[str, float], n: float, unusual: float) -> float:
    """Variance (trace) of a window's mean less the reference's."""
    own = model["trace"] / n * (1 + (model["inflation"] - 1) * max(1 - model["usual"] / n, 0.0))
    if not math.isnan(model["within"]):
        between = model["intra"] * model["trace"] / model["usual"]
        own = max(own, between + (1 - model["intra"]) * model["within"] / n)
    return max(own * unusual + model["inflation"] * model["trace"] / model["total"], 1e-30)


def _upper_tail(values: Floats, sizes: Floats, usual: Floats, some: int, clump: float) -> float:
    """Smallest gamma-Poisson upper tail over the coordinates most in excess, Bonferroni over all.

    The first ``some`` rows of counts, vectors and expected shares are the reference, the last is the window;
    one between them is the centre.
    """
    buckets, n = values[:some], sizes[:some]
    total, seen = n.sum(), buckets.sum(0)
    own = (usual[:some] * n[:, None]).sum(0) / total
    expected = np.outer(n, seen / total) * _exposure(usual[:some], own, seen / total)
    dispersion = ((buckets - expected) ** 2 / np.maximum(expected, 1e-9)).sum(0) / (len(n) - 1)
    dispersion = np.maximum(dispersion, max(clump, 1.0))
    if len(values) > some + 1:
        total, seen, own = sizes[-2], values[-2], usual[-2]
    events, shape = values[-1] / dispersion, seen / dispersion + 0.5
    size = sizes[-1] * _exposure(usual[-1], own, seen / total)
    mean = shape * size / total
    z = (events - mean) / np.sqrt(mean + mean**2 / shape)
    top = np.argsort(-z)[:4]
    tail = scipy.special.betainc(np.maximum(events[top], 1e-9), shape[top], (size / (total + size))[top])
    return float(min(np.where(events[top] <= 0, 1.0, tail).min() * len(z), 1.0))


def _exposure(usual: Floats, own: Floats, share: Floats) -> Floats:
    """How much more is expected than in the reference."""
    blunt = 0.1 * share + 1e-4
    exposure: Floats = (np.maximum(usual, 0) + blunt) / (np.maximum(own, 0) + blunt)
    return exposure
