"""Numbers and labels in text: every country's, and nothing read as what it is not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.backtest.numerals import number, numbers, truth

#: What stands between thousands, and before decimals.
_SIGNS = {"en": ",.", "de": ".,", "ch": "'.", "fr": "\u202f,", "plain": "\0.", "plain with commas": "\0,"}


@given(
    st.lists(st.decimals(-1_000_000, 1_000_000, places=2), min_size=1, max_size=8),
    st.sampled_from(sorted(_SIGNS)),
    st.booleans(),
)
def test_numbers_of_any_country(values: list[float], country: str, commas: bool) -> None:
    group, point = _SIGNS[country]
    swap = str.maketrans({",": group.strip("\0"), ".": point})
    got = numbers([f"{value:,.2f}".translate(swap) for value in values], commas)
    np.testing.assert_allclose(got, [float(value) for value in values])


def test_where_nothing_tells_a_comma_is_what_the_delimiter_says() -> None:
    assert numbers(["1,200", "3"], commas=True).tolist() == [1.2, 3.0]
    assert numbers(["1,200", "3"], commas=False).tolist() == [1200.0, 3.0]
    assert numbers(["1.200", "3"], commas=True).tolist() == [1.2, 3.0]


@pytest.mark.parametrize(
    ("text", "value"), [("true", 1), ("False", 0), ("3 %", 3), ("\u22125", -5), ("1e5", 1e5)]
)
def test_numbers_by_other_names(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "-", "NaN", "inf", "1e400", "null", "12 ms", "$5", "1.2.3", "10.0.0.1"])
def test_what_is_no_number(text: str) -> None:
    assert math.isnan(number(text))


@given(st.text(max_size=20))
def test_any_text_is_a_finite_number_or_none(text: str) -> None:
    value = number(text)
    assert math.isnan(value) or math.isfinite(value)


@pytest.mark.parametrize(
    ("text", "label"),
    [("1", True), ("0.0", False), ("TRUE", True), ("f", False), ("Anomaly", True), ("", False), ("x", None)],
)
def test_labels(text: str, label: bool | None) -> None:
    assert truth(text) is label
