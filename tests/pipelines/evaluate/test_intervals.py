"""Intervals hold what they promise on cases whose answer is known."""

import numpy as np
import pytest

from pipelines.evaluate.intervals import bootstrap, wilson


def test_wilson_of_known_counts() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(20, 20) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert wilson(0, 0) is None


def test_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, 100).tolist()
    low, high = bootstrap(values, lambda sample: float(np.mean(sample))) or (0.0, 0.0)
    half = 1.96 * float(np.std(values)) / 10
    assert low == pytest.approx(float(np.mean(values)) - half, abs=0.08)
    assert high == pytest.approx(float(np.mean(values)) + half, abs=0.08)


def test_bootstrap_needs_two_items_and_a_figure() -> None:
    assert bootstrap([1.0], lambda sample: 1.0) is None
    assert bootstrap([1.0, 2.0], lambda sample: None) is None
