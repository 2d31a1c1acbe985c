"""Sentinels: counts that add up, nobody else's sums touched, and a boundary that bad answers in the sample
do not move.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_scorers import arrays, numpy_reference
from gpu_scorers.reference import Reference
from gpu_scorers.scores import SCORERS
from gpu_scorers.sentinels import Sentinels
from gpu_scorers.spec import Spec

DIM = 24


def _bad(random, rows, where):
    """Answers of one bad kind: quiet directions of the others, loud here."""
    x = random.standard_normal((rows, DIM)) * np.linspace(0.5, 1.0, DIM)
    x[:, -3:] += np.where(np.arange(3) == where, 2.5, 0.0)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture
def draw(topics):
    def go(random, rows, bad=0.0, where=0):
        x = topics(random, rows, dim=DIM)
        wrong = random.random(rows) < bad
        x[wrong] = _bad(random, int(wrong.sum()), where)
        return x

    return go


def _both(random):
    kinds = [Sentinels.fit(_bad(random, 80, where), 2) for where in range(2)]
    return Sentinels(np.concatenate([each.centroids for each in kinds]), np.array([0, 0, 1, 1]))


@pytest.fixture
def spec(draw):
    random = np.random.default_rng(2)
    sample = draw(random, 3000)
    return Spec.fit(sample, features=32, clusters=12, axes=6).with_sentinels(sample, _both(random))


def _sketch(spec, x, to=None, lines=1):
    sums = np.zeros((lines, spec.layout.width))
    arrays.fold(spec, sums, x, np.zeros(len(x), np.int64) if to is None else to)
    return sums


def test_counts_add_up_in_any_order_and_any_cut(spec, draw):
    rows = draw(np.random.default_rng(4), 400, bad=0.2)
    whole = _sketch(spec, rows)
    assert whole[0, spec.layout.blocks["bad"]][0] > 40

    @settings(max_examples=30, deadline=None)
    @given(st.permutations(range(400)), st.integers(1, 399))
    def check(order, cut):
        mixed = rows[list(order)]
        np.testing.assert_array_equal(_sketch(spec, mixed[:cut]) + _sketch(spec, mixed[cut:]), whole)

    check()


def test_other_sums_are_those_without_sentinels(spec, draw):
    random = np.random.default_rng(2)
    plain = Spec.fit(draw(random, 3000), features=32, clusters=12, axes=6)
    rows = draw(np.random.default_rng(4), 400, bad=0.2)
    ours, theirs = _sketch(spec, rows), _sketch(plain, rows)
    places = np.delete(np.arange(spec.layout.width), spec.layout.blocks["bad"])
    # a wider product may round a feature to the neighbouring quantum
    np.testing.assert_allclose(ours[:, places], theirs, atol=3)


def test_torch_agrees_with_numpy(spec, draw):
    random = np.random.default_rng(5)
    rows = draw(random, 300, bad=0.1)
    where = spec.layout.blocks["bad"]
    got, want = _sketch(spec, rows)[0], numpy_reference.sketch(spec, rows)
    np.testing.assert_array_equal(got[where], want[where])
    buckets = np.concatenate([_sketch(spec, draw(random, 150)) for _ in range(10)])
    window = _sketch(spec, draw(random, 150, bad=0.1))
    p = Reference.build(spec, torch.from_numpy(buckets[None])).score(torch.from_numpy(window)).p[0].numpy()
    named = numpy_reference.p_values(spec, buckets, window[0])
    assert [*named][len(SCORERS) :] == ["sentinel 0", "sentinel 1"]
    np.testing.assert_allclose(np.log(p), np.log(np.maximum([*named.values()], 1e-30)), rtol=1e-6, atol=1e-8)
    assert p[len(SCORERS)] < 1e-3 < 1e-2 < p[len(SCORERS) + 1]


def test_arrays_give_the_same_spec_back(spec, draw):
    again = Spec.from_arrays(spec.arrays())
    rows = draw(np.random.default_rng(6), 200, bad=0.3)
    assert again.layout == spec.layout
    np.testing.assert_array_equal(_sketch(again, rows), _sketch(spec, rows))


@pytest.mark.parametrize("already", [0.0, 0.01, 0.03])
def test_bad_answers_in_the_sample_hide_no_others(draw, already):
    random = np.random.default_rng(7)
    sample = draw(random, 3000, bad=already)
    spec = Spec.fit(sample, features=32, clusters=12, axes=6).with_sentinels(sample, _both(random))
    bad = _sketch(spec, _bad(random, 500, 0).astype(np.float32))[0, spec.layout.blocks["bad"]]
    ordinary = _sketch(spec, draw(random, 5000))[0, spec.layout.blocks["bad"]]
    assert bad[0] > 0.75 * 500
    assert ordinary.max() < 0.02 * 5000


@pytest.mark.parametrize("vectors", [np.zeros((3, DIM)), np.full((40, DIM), np.nan), np.zeros(40)])
def test_what_makes_no_sentinel_is_refused(vectors):
    with pytest.raises(ValueError, match="a sentinel needs"):
        Sentinels.fit(vectors, 2)
