"""What a row is expected to be, and how far off that usually is."""

import numpy as np
from streams import key, run, settings

from operators.detection import Bank, WindowValues


def test_after_a_month_of_hours_the_scale_is_that_of_what_the_pattern_leaves() -> None:
    rng = np.random.default_rng(7)
    windows, count, late = 30 * 24, 20, 5 * 24
    hour = np.arange(windows)[:, None]
    day, half = (np.sin(2 * np.pi * (hour / period + rng.random(count))) for period in (24, 12))
    value = 100 + 20 * day + 8 * half + rng.normal(size=(windows, count))
    bank = Bank(settings(), 3600)
    rows = bank.add([key(str(i)) for i in range(count)], 0)
    off = [
        row - bank.step(t * 3_600_000, rows, WindowValues.plain(row)).expected for t, row in enumerate(value)
    ]
    usual = np.sqrt(np.mean(np.square(off[-late:]), 0))
    too_wide = np.sqrt(bank.arrays()["var"]) / usual
    assert usual.max() < 1.3
    assert 0.9 < np.median(too_wide) < 1.5


def test_predictions_do_not_run_away_from_great_regular_jumps() -> None:
    rng = np.random.default_rng([3, *b"square wave + noise"])
    windows, count = 3000, 16
    phase = (np.arange(windows)[:, None] / 288 + rng.random(count)) % 1
    values = 20 + 60 * ((phase > 0.375) & (phase < 0.75)) + rng.normal(size=(windows, count))
    expected = np.array([verdict.expected for verdict in run(values)[1]])
    assert np.nanmin(expected) > -100
    assert np.nanmax(expected) < 200
