"""Times in text: what was written is what is read, in whatever order a file's dates are."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.backtest.stamps import stamps, unix_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-05T00:00:00Z", 1767571200.0),
        ("2026-01-05T01:00:00+01:00", 1767571200.0),
        ("2026-01-05 01:00:00 Europe/Berlin", 1767571200.0),
        ("2026-01-05 00:00", 1767571200.0),
        ("2026-01-05 00:00:00 UTC", 1767571200.0),
        ("1/5/2026 0:00", 1767571200.0),
        ("1/5/26 0:00", 1767571200.0),
        ("5.1.2026 00:00:00,250", 1767571200.25),
        ("1767571200", 1767571200.0),
        ("1767571200000", 1767571200.0),
        ("1712010300000", 1712010300.0),
        ("1.7675712e9", 1767571200.0),
        ("20260105", 1767571200.0),
        ("20260105000000", 1767571200.0),
        ("202601050000", 1767571200.0),
        ("01/05/2026 12:00:00 AM", 1767571200.0),
        ("Mon, 05 Jan 2026 00:00:00 GMT", 1767571200.0),
        ("05/Jan/2026:01:00:00 +0100", 1767571200.0),
        ("January 5, 2026", 1767571200.0),
        ("2026-02", 1769904000.0),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert unix_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "NaT", "yesterday", "13:05", "1e300", "foo 3 2026", "2026-01-05 Mars/Phobos", "31.2.2026"]
)
def test_what_is_no_time(text: str) -> None:
    assert math.isnan(unix_s(text))


@given(st.one_of(st.text(max_size=40), st.text("0123456789-/:. ,TZ+ap", max_size=30)))
def test_any_text_is_a_time_that_can_be_written_or_none(text: str) -> None:
    seconds = unix_s(text)
    assert math.isnan(seconds) or datetime.fromtimestamp(seconds, UTC)


@given(
    st.integers(631_152_000, 2_840_140_800),  # from 1990 to 2060
    st.sampled_from(
        [
            "%m/%d/%Y %H:%M:%S",
            "%d/%m/%Y %H:%M:%S",
            "%d-%m-%Y %I:%M:%S %p",
            "%m/%d/%y %H:%M:%S",
            "%d/%m/%y %H:%M:%S",
            "%y-%m-%d %H:%M:%S",
            "%d.%m.%Y %H:%M:%S",
            "%d-%b-%Y %H:%M:%S",
            "%Y/%m/%d %H:%M:%S",
            "%Y%m%d%H%M%S",
        ]
    ),
    st.sampled_from([timedelta(minutes=30), timedelta(hours=1), timedelta(hours=7)]),
)
def test_the_order_of_dates_is_told_by_the_column(begin: int, form: str, step: timedelta) -> None:
    moments = [datetime.fromtimestamp(begin, UTC) + n * step for n in range(150)]  # over three days
    got = stamps([moment.strftime(form) for moment in moments])
    np.testing.assert_array_equal(got, [moment.timestamp() for moment in moments])


def test_months_are_no_days() -> None:
    first_of_months = [datetime(2024 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(30)]
    got = stamps([moment.strftime("%m/%d/%Y") for moment in first_of_months])
    np.testing.assert_array_equal(got, [moment.timestamp() for moment in first_of_months])


def test_daylight_saving_is_no_gap() -> None:
    before, after = unix_s("2026-03-29T01:55:00+01:00"), unix_s("2026-03-29T03:00:00+02:00")
    assert after - before == 300
