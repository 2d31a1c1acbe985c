"""Series that hardly ever move, and the band that verdicts state."""

import numpy as np
import pytest
from streams import run, settings

BUDGET = 129_600


@pytest.mark.parametrize("first", [26, 30, 60, 400])
def test_first_moves_of_a_still_series_are_worth_no_more_than_their_count(first: int) -> None:
    values = np.zeros((first + 60, 3))
    values[first] = 0.06
    values[first + 15 : first + 17, 1] = 0.05
    values[first : first + 30 : 3, 2] = 0.04
    _, verdicts = run(values, settings(BUDGET), samples=np.full(values.shape, 60.0))
    assert max(v.score.max() for v in verdicts[: first + 1]) <= np.log10(first + 1)
    assert not any(v.alarm[:2].any() for v in verdicts)


@pytest.mark.parametrize("name", ["normal", "wandering", "steps", "counts", "mostly zero", "t(3)"])
def test_no_value_inside_its_band_alarms_as_a_single_value(name: str) -> None:
    rng = np.random.default_rng(31)
    shape = (900, 12)
    values = {
        "normal": rng.normal(size=shape),
        "wandering": np.cumsum(rng.normal(size=shape), 0),
        "steps": np.round(np.cumsum(rng.normal(size=shape), 0) / 5),
        "counts": rng.poisson(3, shape).astype(float),
        "mostly zero": (rng.random(shape) < 0.05) * rng.exponential(size=shape),
        "t(3)": rng.standard_t(3, shape),
    }[name]
    spikes = rng.normal(size=values[700::20].shape) * 5 * values.std()
    values[700::20] += spikes
    values[701::20] += spikes
    _, verdicts = run(values, settings(1000, detectors=("spike/1", "marginal/1")))
    alarms = 0
    for value, v in zip(values, verdicts, strict=True):
        assert not (v.alarm & (value > v.low) & (value < v.high)).any()
        assert (v.warming | ((v.low <= v.expected) & (v.expected <= v.high))).all()
        alarms += v.alarm.sum()
    assert alarms > 0
