"""What a row is expected to be next: slow level, season, and a regression on its own recent past.

The predictor is a heterogeneous autoregression (Corsi 2009): ridge regression of the deviation from level and
season on the last value, two moving averages and the profiles. It learns from cleaned values, so an outlier
leaves no echo, and from nothing inside an open anomaly.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detection import season
from operators.detection.granularity import Motion
from operators.detection.relatives import SCALE_WORTH
from operators.detection.season import Season
from operators.detectors.channel import Floats, Window

#: Windows a row is watched before it is judged.
WARM_UP = 24
#: Features of the predictor, each about level and season: last value, EWMA4, EWMA32, day and week profile.
FEATURES = 5

_UPPER = np.triu_indices(FEATURES)
_RIDGE = 20.0 * np.eye(FEATURES)
_PLACES = np.zeros((FEATURES, FEATURES), np.int64)
_PLACES[_UPPER] = np.arange(len(_UPPER[0]))
_PLACES.T[_UPPER] = np.arange(len(_UPPER[0]))

LEVEL_MEMORY = 1000.0
SCALE_MEMORY = 400.0
REGRESSION_MEMORY = 2000.0
SEEN_MEMORY = 4000.0
CLIP = 3.0
CLEAN = 3.5
#: No pattern is followed more closely than this share of the values' own spread.
PATTERN_ERROR = 0.02
#: Timing error of a profile, as a share of its steepest rise around.
PHASE = 0.1
STILL = 0.65
#: Deviation of an even spread over one step of rounding.
ROUNDING = 0.29

#: ``var``, ``wide_var``: of residuals, clipped at 3 and 8 deviations; ``plain_var``: of values about the
#: level; ``n``: windows seen; ``age``: windows learnt since the start or the last accepted change; ``seen``:
#: the same, fading; ``floor``: least residual scale, from rounding; ``recent``: ring of the last windows, for
#: restarts, about ``origin``, the first value.
FIELDS = (
    Field("recent", WARM_UP, "f4", np.nan, sparse=True),
    Field("origin", None, "f8", np.nan),
    Field("n"),
    Field("age"),
    Field("seen"),
    Field("level", None, "f8"),
    Field("var", None, "f8", 1.0),
    Field("wide_var", None, "f8", 1.0),
    Field("plain_var", None, "f8", 1.0),
    Field("floor", None, "f8"),
    Field("bias"),
    Field("before", None, "f8"),
    Field("mean4", None, "f8"),
    Field("mean32", None, "f8"),
    Field("raw12", None, "f8"),
    Field("weights", FEATURES),
    Field("moments", len(_UPPER[0])),
    Field("cross", FEATURES),
    *season.FIELDS,
)


def recent(state: Rows, rows: NDArray[np.int64]) -> Floats:
    """The values of the last windows of ``rows``, [WARM_UP, len(rows)], NaN where there are fewer."""
    values: Floats = state["recent"][:, rows].astype("f8") + state["origin"][rows]
    return values


def restart(state: Rows, rows: NDArray[np.int64], ring: Floats) -> Floats:
    """Take level and scale of ``rows`` (indices into the block) from their last windows.

    Args:
        state: the rows' state.
        rows: which of them.
        ring: their last windows on the working scale, [WARM_UP, len(rows)].

    Returns:
        The residual scales, [len(rows)].
    """
    middle = np.nanmedian(ring, axis=0)
    mad = 1.4826 * np.nanmedian(np.abs(ring - middle), axis=0)
    clipped = np.nanstd(np.clip(ring, middle - 3 * mad, middle + 3 * mad), axis=0)
    whole = np.nanstd(ring, axis=0)
    scale = np.where(mad > 0, np.maximum(mad, clipped), whole)
    scale = np.maximum(scale, state["floor"][rows])
    scale = np.where(scale > 0, scale, 1e-9 + 1e-6 * np.abs(middle))
    reach = np.maximum(4 * mad, 2 * whole)
    level = np.nanmean(np.clip(ring, middle - reach, middle + reach), axis=0)
    for name in ("level", "before", "mean4", "mean32", "raw12"):
        state[name][rows] = level
    state["var"][rows] = scale**2
    state["wide_var"][rows] = np.minimum(np.maximum(scale, whole), 2 * scale) ** 2
    state["age"][rows] = WARM_UP
    fresh = rows[state["n"][rows] <= WARM_UP]
    state["plain_var"][fresh] = state["wide_var"][fresh]
    started: Floats = scale
    return started


def predict(
    state: Rows,
    value: Floats,
    y: Floats,
    active: NDArray[np.bool_],
    at: Season,
    motion: Motion,
    counts: tuple[Floats, Floats],
) -> tuple[Window, Floats]:
    """Residuals of the working values ``y`` [n], and the features they were predicted from.

    ``motion``: what `granularity.watch` gave; ``counts``: hits and trials, NaN where they are not known.
    """
    level = state["level"]
    base = _scale(state, motion.step)
    features = np.array(
        (
            state["before"] - level,
            state["mean4"] - level,
            state["mean32"] - level,
            at.day,
            at.week,
        )
    )
    predicted = level + at.expected + (features * state["weights"]).sum(0) + state["bias"] * base
    sd = np.sqrt((base * at.rough) ** 2 + (PHASE * at.steep) ** 2 + _doubt(state, base))
    z = np.where(active, (y - predicted) / sd, 0.0)
    window = Window(
        value=value,
        active=active,
        same=motion.same,
        moved=motion.moved,
        step=motion.step,
        y=y,
        predicted=predicted,
        sd=sd,
        base=base,
        z=z,
        clipped=np.minimum(np.maximum(z, -CLIP), CLIP),
        deviation=np.where(active, y - level - at.expected, 0.0),
        learn=np.zeros_like(z),
        hits=counts[0],
        trials=counts[1],
    )
    return window, features


def _doubt(state: Rows, base: Floats) -> Floats:
    """Squared error of a level that is a relative's, so far; a row's own is in its scale."""
    doubt: Floats = np.where(state["lent"] > 0, base**2 / np.maximum(state["age"], 1e-3), 0.0)
    return doubt


def _scale(state: Rows, step: Floats) -> Floats:
    """Residual scale; its floor knows rounding, coarse values, and that no pattern is followed exactly."""
    floor = np.maximum(state["floor"], ROUNDING * step)
    least = np.maximum(floor**2, 0.25 * state["wide_var"])
    least = np.maximum(least, PATTERN_ERROR**2 * state["plain_var"])
    sd = np.sqrt(np.maximum(state["var"], least))
    repeats, n = state["repeats"], state["n"]
    still = np.where(repeats > 0.5 * n, 0.35, 0.0) + np.where(repeats > 0.8 * n, STILL, 0.0)
    floored: Floats = np.maximum(sd, still * state["mean_move"])
    return floored


def learn(state: Rows, window: Window, features: Floats, at: Season) -> None:
    """Learn from a window: regression, level, scale, season; weighted by ``window.learn``."""
    weight, sd, z, age = window.learn, window.sd, window.z, state["age"]
    cleaned = window.predicted + np.minimum(np.maximum(z, -CLEAN), CLEAN) * sd
    # a prediction that learns from what it predicted runs away unless something holds it
    usual = state["level"] + at.expected
    lowest, highest = np.minimum(usual, window.y), np.maximum(usual, window.y)
    cleaned = np.minimum(np.maximum(cleaned, lowest - CLEAN * sd), highest + CLEAN * sd)
    _learn_regression(state, window, features)
    age += weight
    state["seen"] += weight
    state["seen"] *= 1.0 - weight / SEEN_MEMORY
    gain = weight / np.minimum(age + 1.0, LEVEL_MEMORY)
    level = state["level"]
    apart = cleaned - at.expected
    level += gain * np.minimum(np.maximum(apart - level, -6 * sd), 6 * sd)
    state["bias"] += gain * window.clipped
    residual = (z * window.base) ** 2
    lent = np.where(state["lent"] > 0, SCALE_WORTH, 0.0)
    # residuals shrink while the predictor learns: each counts by its age, the early ones little
    known, late = age + lent, age / 2.0 + lent
    active = window.active
    for name, learning, limit, centre, seen, memory in (
        ("var", weight, 9.0, 1.005, late, SCALE_MEMORY),
        ("wide_var", weight, 64.0, 1.0, late, LEVEL_MEMORY),
        ("plain_var", active, 9.0, 1.005, known, LEVEL_MEMORY),
    ):
        var = state[name]
        square = residual if name != "plain_var" else (window.y - level) ** 2
        ratio = np.minimum(square / var, limit) * centre - 1.0
        var += learning * ratio * var / np.minimum(seen + 1.0, memory)
        np.maximum(var, np.maximum(1e-18 + 1e-14 * level**2, state["floor"] ** 2), out=var)
    np.copyto(state["before"], apart, where=active)
    state["mean4"] += active * (apart - state["mean4"]) / 4
    state["mean32"] += active * (apart - state["mean32"]) / 32
    state["raw12"] += active * (window.y - state["raw12"]) / 12


def settle(state: Rows, rows: NDArray[np.int64]) -> None:
    """Forget the episode that has just ended on ``rows`` (indices into the block).

    The slow average holds its level still, and would have the next windows expected there.
    """
    state["mean32"][rows] = state["mean4"][rows]


def _learn_regression(state: Rows, window: Window, features: Floats) -> None:
    weight, z = window.learn, window.z
    scaled = features / window.sd
    target = window.clipped + (scaled * state["weights"]).sum(0)
    trust = weight * np.minimum(1.0, 3.0 / np.maximum(np.abs(z), 1e-9))
    forget = 1.0 - weight / REGRESSION_MEMORY
    trusted = trust * scaled
    moments, cross, n = state["moments"], state["cross"], state["n"]
    moments *= forget
    moments += trusted[_UPPER[0]] * scaled[_UPPER[1]]
    cross *= forget
    cross += trusted * target
    due = np.flatnonzero((n % 10 == 0) | ((n < 200) & (n % 3 == 0)))
    if due.size:
        matrices = moments[:, due].astype("f8")[_PLACES].transpose(2, 0, 1) + _RIDGE
        solved: NDArray[Any] = np.linalg.solve(matrices, cross[:, due].T[:, :, None].astype("f8"))
        state["weights"][:, due] = solved[:, :, 0].T
