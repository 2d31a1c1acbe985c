"""How far from the bulk: what must hold for any series."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.backtest.extremity import LEAST, PAST, extremity, surprise

SERIES = arrays(np.float64, st.integers(0, 300), elements=st.floats(-1e6, 1e6) | st.just(np.nan))


@given(SERIES, st.integers(0, 300))
def test_no_row_depends_on_a_later_one(value: np.ndarray, cut: int) -> None:
    assert np.array_equal(extremity(value)[:cut], extremity(value[:cut]))


@given(SERIES)
@example(np.repeat([0.0, 5e-324], [LEAST, 10]))  # half of the least number is none
def test_finite_never_negative_and_nothing_where_nothing_is_known(value: np.ndarray) -> None:
    found = extremity(value)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    known = np.cumsum(~np.isnan(value))
    assert not found[np.isnan(value) | (known <= LEAST)].any()


def test_units_do_not_matter_beyond_the_relative_floor() -> None:
    value = np.random.default_rng(1).lognormal(size=2 * PAST)
    assert np.allclose(extremity(value), extremity(1000 * value))


def test_spikes_that_recur_stay_extreme() -> None:
    rng = np.random.default_rng(2)
    value = rng.standard_normal(2 * PAST)
    spikes = np.arange(100, 2 * PAST, 40)
    value[spikes] += 20
    found = extremity(value)
    others = np.ones(len(value), bool)
    for after in range(3):  # a spike is in the running mean of the next two rows
        others[np.minimum(spikes + after, len(value) - 1)] = False
    assert found[spikes].min() > found[others].max()


def test_a_series_that_steps_knows_its_step() -> None:
    value = np.zeros(200)
    value[50::10] = 1.0
    assert extremity(value).max() <= np.log2(3)


def test_a_value_that_only_its_hour_makes_odd_ranks_above_the_peaks_of_every_day() -> None:
    rng = np.random.default_rng(3)
    expected = 100 + 20 * np.sin(2 * np.pi * np.arange(1000) / 24)
    value = expected + rng.standard_normal(1000)
    value[720] += 15
    assert surprise(value, expected).argmax() == 720
    assert extremity(value).argmax() != 720


@given(SERIES)
def test_where_nothing_was_expected_the_value_alone_counts(value: np.ndarray) -> None:
    assert np.array_equal(surprise(value, np.full(len(value), np.nan)), extremity(value))
