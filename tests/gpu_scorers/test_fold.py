"""The sketch: exact additions, and the torch code against plain numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_scorers import numpy_reference
from gpu_scorers.fold import empty, fold
from gpu_scorers.layout import Layout
from gpu_scorers.spec import Spec

_RANDOM = np.random.default_rng(1)
_ROWS = _RANDOM.standard_normal((300, 24)).astype(np.float16)
_SPEC = Spec.fit(_RANDOM.standard_normal((400, 24)), features=32, clusters=8, axes=6)


def _sums(rows, series, lines=3):
    return fold(_SPEC, empty(_SPEC, lines), torch.from_numpy(rows), torch.from_numpy(series)).numpy()


@settings(max_examples=40)
@given(st.randoms(use_true_random=False), st.lists(st.integers(1, 90), min_size=1, max_size=8))
def test_any_order_and_any_cut_give_the_same_bits(order, cuts):
    series = np.arange(len(_ROWS)) % 3
    whole = _sums(_ROWS, series)
    places = list(range(len(_ROWS)))
    order.shuffle(places)
    parts = np.zeros_like(whole)
    start = 0
    for cut in [*cuts, len(places)]:
        own = np.array(places[start : start + cut], dtype=np.int64)
        start += cut
        if len(own):
            parts += _sums(_ROWS[own], series[own])
    np.testing.assert_array_equal(parts, whole)


def test_rows_without_a_series_are_left_out_and_rows_of_several_are_in_each():
    targets = np.stack([np.where(np.arange(300) < 100, 0, -1), np.where(np.arange(300) < 50, 1, -1)])
    sums = _sums(_ROWS, targets)
    np.testing.assert_array_equal(sums[0], _sums(_ROWS[:100], np.zeros(100, np.int64))[0])
    np.testing.assert_array_equal(sums[1], _sums(_ROWS[:50], np.zeros(50, np.int64))[0])
    assert not sums[2].any()


def test_torch_agrees_with_numpy_to_the_rounding_of_a_quantum():
    got = _sums(_ROWS, np.zeros(300, np.int64), lines=1)[0]
    want = numpy_reference.sketch(_SPEC, _ROWS)
    dense = _SPEC.layout.dense
    # float32 against float64 may round a feature to the neighbouring quantum
    np.testing.assert_allclose(got[:dense], want[:dense], atol=3, rtol=1e-5)
    np.testing.assert_array_equal(got[dense:], want[dense:])


def test_counts_add_up_to_the_rows():
    sums = _sums(_ROWS, np.zeros(300, np.int64), lines=1)[0]
    for name in ("clu", "rep"):
        assert sums[_SPEC.layout.blocks[name]].sum() == sums[0] == 300


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_the_length_of_vectors_is_taken_out(factor):
    random = np.random.default_rng(2)
    rows = random.standard_normal((200, 16))
    spec = Spec.fit(rows * factor, features=16, clusters=4, axes=4)
    sums = fold(spec, empty(spec, 1), torch.from_numpy(rows * factor), torch.zeros(200, dtype=torch.int64))
    base = Spec.fit(rows, features=16, clusters=4, axes=4)
    want = fold(base, empty(base, 1), torch.from_numpy(rows), torch.zeros(200, dtype=torch.int64))
    np.testing.assert_allclose(sums.numpy(), want.numpy(), atol=20)


def test_one_enormous_vector_does_not_outweigh_a_bucket():
    rows = np.concatenate([_ROWS.astype(np.float32), np.full((1, 24), 3e4, np.float32)])
    mean = _sums(rows, np.zeros(301, np.int64), lines=1)[0] * _SPEC.layout.quanta / 301
    assert np.linalg.norm(mean[_SPEC.layout.blocks["lin"]]) < 0.5


def test_a_sketch_of_the_default_size_keeps_its_bar():
    assert Layout(dim=384, features=512, clusters=64, axes=32).width * 8 <= 16 * 1024


@pytest.mark.parametrize("rows", [np.zeros((40, 8)), np.full((40, 8), np.nan), np.ones((4, 8))])
def test_a_spec_refuses_what_it_cannot_be_fitted_to(rows):
    with pytest.raises(ValueError, match="a spec needs"):
        Spec.fit(rows)


def test_a_spec_survives_its_arrays_bit_for_bit():
    again = Spec.from_arrays(_SPEC.arrays())
    assert again.layout == _SPEC.layout
    for name, array in _SPEC.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
