"""Which detectors run where, river's among them by default, and what that keeps."""

import numpy as np
import pytest
from streams import settings

from operators.detection import Bank, WindowValues
from operators.detectors import DEFAULT
from operators.series import SeriesKey
from operators.settings import Detection

TTFT, ERRORS = "gen_ai.server.time_to_first_token", "gen_ai.server.errors"


def _keys(slices: int) -> list[SeriesKey]:
    """Some fifty statistics of each slice, two of which are those river watches."""
    keys = []
    for i in range(slices):
        places = (("service", str(i)),)
        keys += [SeriesKey("t", TTFT, name, None, places, "duration", "s") for name in ("p50", "p95")]
        keys += [SeriesKey("t", ERRORS, "ratio", None, places, "ratio", "1")]
        keys += [SeriesKey("t", f"s{j}", "mean", None, places, "gauge", "1") for j in range(47)]
    return keys


def _window(rng: np.random.Generator, n: int) -> WindowValues:
    window = WindowValues.plain(rng.normal(size=n))
    window.hits[2::50] = rng.binomial(200, 0.01, n // 50)
    window.samples[2::50], window.value[2::50] = 200, window.hits[2::50] / 200
    return window


def test_river_runs_by_default_where_named_and_its_state_is_small_and_kept() -> None:
    rng = np.random.default_rng(41)
    keys = _keys(2)
    bank = Bank(Detection(), 60)
    rows = bank.add(keys, 0)
    for t in range(300):
        bank.step(t * 60_000, rows, _window(rng, len(keys)))
    arrays = bank.arrays()
    assert (arrays["adwin_slot"] >= 0).nonzero()[0].tolist() == [0, 50]
    assert (arrays["hddm_w_slot"] >= 0).nonzero()[0].tolist() == [2, 52]
    objects = sum(len(arrays[name]) for name in ("adwin/1", "page_hinkley/1", "hddm_w/1"))
    assert bank.bytes_per_row + objects / len(keys) <= 2048
    other = Bank(Detection(), 60)
    other.load(arrays, bank.keys)
    for t in range(300, 340):
        window = _window(rng, len(keys))
        one, two = bank.step(t * 60_000, rows, window), other.step(t * 60_000, rows, window)
        assert (one.score == two.score).all()


def test_a_statistic_goes_before_its_signal_and_a_plus_adds() -> None:
    chosen = {TTFT: ("spike/1",), f"{TTFT} p95": ("+cusum/1",)}
    bank = Bank(settings(per_signal=chosen), 60)
    assert bank.detector_ids == (*DEFAULT, "cusum/1")
    keys = _keys(1)
    bank.add(keys, 0)
    assert bank.arrays()["group"].tolist() == [1, 2] + 48 * [0]


def test_an_unknown_detector_of_a_signal_is_named() -> None:
    with pytest.raises(ValueError, match="nonsense/2"):
        Bank(settings(per_signal={TTFT: ("+nonsense/2",)}), 60)
