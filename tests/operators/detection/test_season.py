"""What comes back every day is expected, and what is odd for its hour is not, whatever the step."""

import numpy as np
from numpy.typing import NDArray
from streams import key, settings

from operators.detection import Bank, Verdicts, WindowValues

DAYS, ROWS = 28, 20


def _judged(values: NDArray[np.float64], period_s: int) -> list[Verdicts]:
    bank = Bank(settings(), period_s)
    rows = bank.add([key(str(i)) for i in range(values.shape[1])], 0)
    return [bank.step(t * period_s * 1000, rows, WindowValues.plain(row)) for t, row in enumerate(values)]


def _hours() -> NDArray[np.float64]:
    """Hourly values about a daily pattern, [hours, rows]."""
    rng = np.random.default_rng(5)
    hour = np.arange(DAYS * 24)[:, None]
    return 100 + 20 * np.sin(2 * np.pi * hour / 24) + rng.normal(size=(DAYS * 24, ROWS))


def test_the_value_of_another_hour_is_an_anomaly() -> None:
    values = _hours()
    night = (DAYS - 2) * 24 + 18
    values[night] = 119  # as around noon, and on every day before
    verdicts = _judged(values, 3600)
    assert verdicts[night].alarm.mean() >= 0.9
    assert not verdicts[night - 24].alarm.any()


def test_the_band_of_hourly_values_is_narrower_than_their_pattern() -> None:
    last = _judged(_hours(), 3600)[-24:]
    width = np.array([verdict.high - verdict.low for verdict in last])
    assert np.median(width) < 15
    assert width.max() < 25


def test_a_daily_job_is_known_in_its_first_week_and_missed_when_it_is_not_there() -> None:
    rng = np.random.default_rng(9)
    day, job, missing = 288, slice(100, 112), 14
    values = 10 + rng.normal(size=(DAYS, day, ROWS))
    values[:, job] += 40 + 3 * rng.normal(size=(DAYS, 12, ROWS))
    values[missing, job] -= 40
    alarm = np.array([v.alarm for v in _judged(values.reshape(-1, ROWS), 300)]).reshape(DAYS, day, ROWS)
    told = alarm[:, 100:124].any(1)  # its last alarm may follow it
    assert told[0].all()
    assert told[5:missing].mean() < 0.1
    assert told[missing].mean() >= 0.9
