"""Ratios whose hits are rare: a few hits after long silence are an alarm, one is not."""

import numpy as np
import pytest
from scipy.stats import poisson
from streams import onsets, run, settings

from operators.detection import Verdicts

#: Windows between false alarms: 90 days of minutes.
LONG = 129_600


def _judge(hits: np.ndarray, trials: np.ndarray, budget: float = LONG) -> list[Verdicts]:
    return run(hits / trials, settings(budget), hits=hits.astype(float), samples=trials.astype(float))[1]


def test_one_percent_is_found_within_thirty_windows_of_none() -> None:
    rng = np.random.default_rng(21)
    trials = np.full((560, 20), 80)
    hits = rng.binomial(trials, np.where(np.arange(560) < 500, 0.0, 0.01)[:, None])
    alarm = np.array([v.alarm for v in _judge(hits, trials)])
    assert not alarm[:500].any()
    assert alarm[500:530].any(0).all()


def test_an_occasional_hit_after_days_of_none_is_found_and_not_learnt_at_once() -> None:
    """At most one hit a minute, one in three minutes, after 20 hours of none."""
    rng = np.random.default_rng(22)
    trials = rng.poisson(80, (1260, 10)) + 20
    hits = (rng.random(trials.shape) < 0.32) * (np.arange(1260) >= 1200)[:, None]
    verdicts = _judge(hits, trials)
    alarm = np.array([v.alarm for v in verdicts])
    assert not alarm[:1200].any()
    assert alarm[1200:1240].any(0).all()
    led = [v for v in verdicts[1240:] if v.alarm.any()]
    assert all((v.expected[v.alarm] < 2e-4).all() for v in led)


@pytest.mark.parametrize(("windows", "loud"), [([800], False), ([800, 805, 810, 815], True)])
def test_few_hits_claim_no_more_than_they_show(windows: list[int], loud: bool) -> None:
    hits = np.zeros((840, 1))
    hits[windows] = 1
    verdicts = _judge(hits, np.full(hits.shape, 80.0))
    assert any(v.alarm[0] for v in verdicts) is loud


def test_alarms_end_with_the_hits_or_as_the_new_normal() -> None:
    rng = np.random.default_rng(23)
    trials = np.full((900, 2), 80)
    p = np.zeros((900, 2))
    p[500:540, 0] = p[500:, 1] = 0.01
    alarm = np.array([v.alarm for v in _judge(rng.binomial(trials, p), trials)])
    assert alarm[500:540].any(0).all()
    assert not alarm[600:, 0].any()
    assert not alarm[700:, 1].any()


@pytest.mark.parametrize("name", ["rare", "common", "wandering", "bursts"])
def test_it_keeps_the_budget_where_nothing_is_wrong(name: str) -> None:
    rng = np.random.default_rng(24)
    shape = (1500, 12)
    trials = rng.integers(50, 500, shape)
    slow = np.cumsum(rng.normal(size=shape), 0) * 0.01
    p = {"rare": 0.001, "common": 0.05, "wandering": 0.01 * np.exp(0.35 * np.sin(slow)), "bursts": 0.0002}[
        name
    ]
    hits = rng.binomial(trials, p) * (5 if name == "bursts" else 1)
    chosen = settings(1000, detectors=("spike/1", "rare/1"))
    _, verdicts = run(hits / trials, chosen, hits=hits.astype(float), samples=trials.astype(float))
    assert onsets(verdicts).sum() <= poisson.ppf(0.999, 1.5 * 12 * 1500 / 1000)
