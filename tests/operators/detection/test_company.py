"""What two odd windows in a row say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from operators.columns import Columns, Rows
from operators.detection import company

_HERE = np.ones(1, bool)


def _row(far: float = 0.0) -> Rows:
    columns = Columns(company.FIELDS)
    columns.add(1)
    state = columns.take(slice(0, 1))
    state["far_sides"][...] = far
    return state


def _said(state: Rows, z: float, rate: float, known: float = 1.0) -> float:
    """What a window ``z`` deviations off says that so often comes on its side."""
    sides = np.array([[rate if z > 0 else 1.0], [rate if z < 0 else 1.0]])
    return float(company.in_a_row(state, np.array([z]), sides, _HERE, np.full(1, known))[0])


@given(first=st.floats(1e-9, 4e-3), second=st.floats(1e-9, 4e-3))
def test_two_on_one_side_claim_the_lesser_claim_squared(first: float, second: float) -> None:
    state = _row()
    assert _said(state, 5.0, first) == 1.0
    assert _said(state, 5.0, second) >= max(first, second) ** 2


def test_in_a_row_that_is_hardly_known_two_claim_little_more_than_the_lesser() -> None:
    said = []
    for known in (0.0, 0.5, 1.0):
        state = _row()
        _said(state, 5.0, 1e-4, known)
        said.append(_said(state, 5.0, 1e-3, known))
    assert said[0] >= 1e-3
    assert said == sorted(said, reverse=True)


def test_two_on_opposite_sides_or_with_one_between_claim_nothing() -> None:
    state = _row()
    for z, rate in ((5.0, 1e-4), (-5.0, 1e-4), (0.0, 1.0), (5.0, 1e-4)):
        assert _said(state, z, rate) == 1.0


def test_where_the_row_has_been_before_two_claim_nothing() -> None:
    state = _row(far=60.0)
    assert [_said(state, 30.0, 1e-4) for _ in range(2)] == [1.0, 1.0]
    state = _row(far=6.0)
    assert [_said(state, 5.0, 1e-4) < 1e-4 for _ in range(2)] == [False, True]


def test_a_missing_window_between_two_changes_nothing() -> None:
    state = _row()
    _said(state, 5.0, 1e-4)
    company.in_a_row(state, np.zeros(1), np.ones((2, 1)), ~_HERE, np.ones(1))
    assert _said(state, 5.0, 1e-4) < 1e-4
