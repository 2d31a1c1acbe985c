import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from operators.cells import GAMMA, ZERO_BIN
from operators.fold.bins import bin_of
from operators.shard.sketches import Sketches, concat, group, merge, quantiles, take


def sketch(series: list[list[float]]) -> Sketches:
    """One row per list of values; equal keys may repeat."""
    bins = [np.unique(bin_of(np.array(values)), return_counts=True) for values in series]
    return Sketches(
        key=np.arange(len(series), dtype=np.uint64),
        count=np.array([len(values) for values in series]),
        total=np.array([round(sum(values) * 1e6) for values in series]),
        span=np.zeros(len(series), np.int64),
        low=np.array([min(values) for values in series]),
        high=np.array([max(values) for values in series]),
        bin_row=np.repeat(np.arange(len(series)), [len(found) for found, _ in bins]),
        bin=np.concatenate([found for found, _ in bins]),
        bin_count=np.concatenate([counts for _, counts in bins]),
    )


VALUES = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), min_size=1, max_size=60)


@given(st.lists(VALUES, min_size=1, max_size=5), st.sampled_from([0.5, 0.95, 0.99, 0.01, 1.0]))
def test_quantiles_are_within_two_percent(series: list[list[float]], probability: float) -> None:
    found = quantiles(sketch(series), [probability])[:, 0]
    for value, values in zip(found, series, strict=True):
        exact = np.quantile(values, probability, method="inverted_cdf")
        assert abs(value - exact) <= 0.0200001 * exact


def test_the_bins_cover_two_percent() -> None:
    assert abs(2 * GAMMA / (GAMMA + 1) - 1 - 0.02) < 1e-12
    assert bin_of(np.array([0.0])).tolist() == [ZERO_BIN]


@given(st.lists(VALUES, min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_merging_is_exact_in_any_order_and_grouping(series: list[list[float]], random: object) -> None:
    whole = group(concat(parts(series)))
    shuffled = parts(series)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    half = len(shuffled) // 2
    regrouped = merge([merge(shuffled[:half] or [Sketches.empty()]), merge(shuffled[half:])])
    for name, array in whole.arrays().items():
        assert np.array_equal(array, regrouped.arrays()[name], equal_nan=array.dtype.kind == "f"), name


def parts(series: list[list[float]]) -> list[Sketches]:
    """Each list a sketch of its own, of one of two series."""
    rows = sketch(series)
    rows.key[:] = rows.key % 2
    return [take(rows, np.array([place])) for place in range(len(series))]


def test_take_repeats_rows_with_their_histograms() -> None:
    rows = sketch([[1.0, 2.0], [3.0], [4.0, 4.0, 9.0]])
    picked = take(rows, np.array([2, 0, 2]))
    assert picked.count.tolist() == [3, 2, 3]
    assert np.bincount(picked.bin_row, picked.bin_count).tolist() == [3, 2, 3]


def test_nothing_merges_to_nothing() -> None:
    assert len(group(Sketches.empty())) == 0
    assert quantiles(Sketches.empty(), [0.5]).shape == (0, 1)
