"""What a row is expected to be next: slow level, scale, season, and a regression on its own recent past.

The predictor is a heterogeneous autoregression (Corsi 2009): ridge regression of the deviation from the slow level
on the last value, two moving averages, and the daily and weekly profiles now and one window ago. Everything is
learnt from cleaned values, so an outlier leaves no echo, and from nothing inside an open anomaly.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.columns import Field, Rows
from operators.detection import season
from operators.detection.season import Season
from operators.detectors.channel import Floats, Window

#: Windows a row is watched before it is judged.
WARM_UP = 24
#: Features of the predictor: last, EWMA4, EWMA32, day now, day before, week now, week before.
FEATURES = 7

Motion = tuple[NDArray[np.bool_], NDArray[np.bool_]]
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

#: ``n``: windows seen; ``age``: windows learnt since the start or the last accepted change; ``seen``: the same,
#: fading; ``floor``: least residual scale, from rounding; ``recent``: ring of the last windows, for restarts.
FIELDS = (
    Field("recent", WARM_UP, "f8", np.nan),
    Field("n"),
    Field("age"),
    Field("seen"),
    Field("level", 1, "f8"),
    Field("var", 1, "f8", 1.0),
    Field("wide_var", 1, "f8", 1.0),
    Field("floor", 1, "f8"),
    Field("bias"),
    Field("before", 1, "f8"),
    Field("mean4", 1, "f8"),
    Field("mean32", 1, "f8"),
    Field("raw12", 1, "f8"),
    Field("day_before", 1, "f8"),
    Field("week_before", 1, "f8"),
    Field("weights", FEATURES),
    Field("moments", len(_UPPER[0])),
    Field("cross", FEATURES),
    *season.FIELDS,
)


def restart(state: Rows, rows: NDArray[np.int64]) -> Floats:
    """Take level and scale of ``rows`` (indices into the block) from the ring of recent windows.

    Returns:
        The residual scales, [len(rows)].
    """
    ring = state["recent"][:, rows]
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
    return scale


def predict(
    state: Rows, value: Floats, y: Floats, active: NDArray[np.bool_], at: Season, motion: Motion
) -> tuple[Window, Floats]:
    """Residuals of the working values ``y`` [n]; also the features they were predicted from, [FEATURES, n]."""
    level = state["level"]
    sd = np.maximum(np.sqrt(state["var"]), 0.5 * np.sqrt(state["wide_var"]))
    sd = np.maximum(sd, state["floor"])
    still = state["repeats"] > 0.5 * state["n"]
    sd = np.where(still, np.maximum(sd, 0.35 * state["mean_move"]), sd)
    features = np.stack(
        (
            state["before"] - level,
            state["mean4"] - level,
            state["mean32"] - level,
            at.day,
            state["day_before"],
            at.week,
            state["week_before"],
        )
    )
    weights = state["weights"]
    parts = features * weights
    predicted = level + parts.sum(0) + state["bias"] * sd
    z = np.where(active, (y - predicted) / sd, 0.0)
    window = Window(
        value=value,
        active=active,
        same=motion[0],
        moved=motion[1],
        y=y,
        predicted=predicted,
        sd=sd,
        z=z,
        clipped=np.minimum(np.maximum(z, -CLIP), CLIP),
        deviation=np.where(active, y - level - parts[3] - parts[5], 0.0),
        learn=np.zeros_like(z),
    )
    return window, features


def learn(state: Rows, window: Window, features: Floats, at: Season, period_s: float) -> None:
    """Learn from a window: regression, level, scale, season; weighted by ``window.learn``."""
    weight, sd, z, age = window.learn, window.sd, window.z, state["age"]
    cleaned = window.predicted + np.minimum(np.maximum(z, -CLEAN), CLEAN) * sd
    _learn_regression(state, window, features)
    age += weight
    state["seen"] += weight
    state["seen"] *= 1.0 - weight / SEEN_MEMORY
    gain = weight / np.minimum(age + 1.0, LEVEL_MEMORY)
    level = state["level"]
    level += gain * np.minimum(np.maximum(cleaned - level, -6 * sd), 6 * sd)
    state["bias"] += gain * window.clipped
    residual = (z * sd) ** 2
    var, wide = state["var"], state["wide_var"]
    var += (
        weight * (np.minimum(residual / var, 9.0) * 1.005 - 1.0) * var / np.minimum(age + 1.0, SCALE_MEMORY)
    )
    wide += weight * (np.minimum(residual / wide, 64.0) - 1.0) * wide / np.minimum(age + 1.0, LEVEL_MEMORY)
    least = np.maximum(1e-18 + 1e-14 * level**2, state["floor"] ** 2)
    np.maximum(var, least, out=var)
    np.maximum(wide, least, out=wide)
    season.learn(state, at, cleaned - level, weight, period_s)
    state["day_before"][...] = at.day
    state["week_before"][...] = at.week
    active = window.active
    np.copyto(state["before"], cleaned, where=active)
    state["mean4"] += active * (cleaned - state["mean4"]) / 4
    state["mean32"] += active * (cleaned - state["mean32"]) / 32
    state["raw12"] += active * (window.y - state["raw12"]) / 12


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
