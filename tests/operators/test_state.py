import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from operators.state import StateError, pack, unpack

ARRAYS = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint64, np.bool_, np.int8]),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5),
)


@given(st.dictionaries(st.text(max_size=8), ARRAYS, max_size=4), st.binary(max_size=64))
def test_what_is_read_is_what_was_written_to_the_bit(arrays: dict[str, np.ndarray], blob: bytes) -> None:
    state = unpack("thing", frozenset({3}), pack("thing", 3, {"blob": blob, "n": None}, arrays))
    assert state.version == 3
    assert state.values == {"blob": blob, "n": None}
    assert list(state.arrays) == list(arrays)
    for name, array in arrays.items():
        assert state.arrays[name].dtype == array.dtype
        assert state.arrays[name].shape == array.shape
        assert state.arrays[name].tobytes() == np.ascontiguousarray(array).tobytes()


def test_another_version_is_refused_with_what_to_do() -> None:
    with pytest.raises(StateError, match="version 9; this driftline reads 1, 2"):
        unpack("shard", frozenset({1, 2}), pack("shard", 9, {}, {}))


def test_another_kind_is_refused() -> None:
    with pytest.raises(StateError, match="holds intake state, shard state expected"):
        unpack("shard", frozenset({1}), pack("intake", 1, {}, {}))


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StateError, match="snapshot"):
        unpack("shard", frozenset({1}), data)


@given(st.data())
def test_damage_is_refused(data: st.DataObject) -> None:
    whole = pack("shard", 1, {"n": 1}, {"a": np.arange(50)})
    place = data.draw(st.integers(8, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[place] ^= data.draw(st.integers(1, 255))
    try:
        state = unpack("shard", frozenset({1}), bytes(damaged))
    except StateError:
        return
    # zstd leaves a few header bits without meaning; what is read must still be what was written
    assert state.arrays["a"].tolist() == list(range(50))


def test_truncation_is_refused() -> None:
    whole = pack("shard", 1, {"n": 1}, {"a": np.arange(50)})
    with pytest.raises(StateError, match="damaged"):
        unpack("shard", frozenset({1}), whole[:-9])
