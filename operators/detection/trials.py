"""Ratios of trials as normal scores: right for any number of trials, from the first window on.

A window's hits are judged by the gamma-Poisson predictive of the hits and trials learnt so far, exact for
rare events and conservative for common ones. The randomised probability integral transform makes a standard
normal of it, whether a window stands on 20 trials or 2,000, and the rest of the bank works on that.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc, ndtri

from operators.columns import Field, Rows
from operators.detectors.channel import Floats

#: Windows that hits and trials are remembered for, and for a new normal.
_MEMORY, _SHORT = 1000.0, 12.0
_LEAST = 1e-16
#: Squared expected hits that an even ratio is worth, before a row has shown how far its own wanders.
_EVEN = 200.0

#: ``late_hits``, ``late_trials``: of the last windows; ``ratio_excess`` over ``ratio_energy``: squared
#: relative error of the ratio from window to window, beyond what chance and a short history explain.
FIELDS = (
    Field("hits"),
    Field("trials"),
    Field("late_hits"),
    Field("late_trials"),
    Field("ratio_excess"),
    Field("ratio_energy"),
    Field("of_trials"),
)


def scores(state: Rows, rows: NDArray[np.int64], hits: Floats, trials: Floats, uniform: Floats) -> Floats:
    """Normal scores of windows of ``rows`` with ``hits`` in ``trials``; ``uniform`` in [0, 1) spreads ties.

    Above one half the misses are judged instead, whose law is nearer to Poisson's.
    """
    known_hits, known_trials = state["hits"][rows], state["trials"][rows]
    common = known_hits > 0.5 * known_trials
    count = np.where(common, trials - hits, hits)
    known = np.where(common, known_trials - known_hits, known_hits)
    wander = np.maximum(state["ratio_excess"][rows] / (_EVEN + state["ratio_energy"][rows]), 0.0)
    shape = (known + 0.5) / (1.0 + wander * (known + 0.5))
    usual = (known + 0.5) * trials / np.maximum(known_trials, 1.0)
    share = shape / (shape + usual)
    inside = np.maximum(count, 1e-9)
    below = np.where(count > 0, betainc(shape, inside, share), 0.0)
    up_to, above = betainc(shape, count + 1, share), betaincc(shape, count + 1, share)
    mass = np.maximum(up_to - below, 0.0)
    lower, upper = below + uniform * mass, above + (1 - uniform) * mass
    score = np.where(lower < upper, ndtri(np.maximum(lower, _LEAST)), -ndtri(np.maximum(upper, _LEAST)))
    score = np.where(known_trials > 0, score, 0.0)
    return np.where(common, -score, score)


def learn(state: Rows, hits: Floats, trials: Floats, weight: Floats) -> None:
    """Learn a window's hits and trials, weighted; the late ones always."""
    common = state["hits"] > 0.5 * state["trials"]
    known = np.where(common, state["trials"] - state["hits"], state["hits"]) + 0.5
    usual = known * trials / np.maximum(state["trials"], 1.0)
    off = (np.where(common, trials - hits, hits) - usual) ** 2
    chance = usual + usual**2 / known
    excess = np.minimum(off, 16.0 * chance + 4.0) - chance
    excess, energy = (np.where(state["trials"] > 0, x, 0.0) for x in (excess, usual**2))
    state["ratio_excess"] += weight * (excess - state["ratio_excess"] / _MEMORY)
    state["ratio_energy"] += weight * (energy - state["ratio_energy"] / _MEMORY)
    state["hits"] += weight * (hits - state["hits"] / _MEMORY)
    state["trials"] += weight * (trials - state["trials"] / _MEMORY)
    given = state["of_trials"] > 0
    state["late_hits"] += given * (hits - state["late_hits"] / _SHORT)
    state["late_trials"] += given * (trials - state["late_trials"] / _SHORT)


def accept(state: Rows, rows: NDArray[np.int64]) -> None:
    """Take the last windows for the new normal: the scores about it are standard."""
    some = rows[state["of_trials"][rows] > 0]
    state["hits"][some], state["trials"][some] = state["late_hits"][some], state["late_trials"][some]
    for name in ("level", "before", "mean4", "mean32", "raw12"):
        state[name][some] = 0.0
    for name in ("var", "wide_var"):
        state[name][some] = 1.0


def band(state: Rows, scores: Sequence[Floats], trials: Floats) -> list[Floats]:
    """Ratios that normal scores (expected, low, high) stand for in a window of ``trials``.

    Where less than a few hits are expected, a score says little of the ratio: the expected one is the one
    learnt.
    """
    p = (state["hits"] + 0.5) / (state["trials"] + 1.0)
    error = np.sqrt(np.maximum(p * (1 - p), 1e-12) / np.maximum(trials, 1.0))
    usual = np.minimum(p, 1 - p) * trials
    expected = scores[0] * usual / (usual + 5.0)
    return [np.minimum(np.maximum(p + score * error, 0.0), 1.0) for score in (expected, *scores[1:])]
