"""A part beside its siblings, a slice beside the rest: small moves are found, and health is left alone."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from operators.detection import Bank, WindowValues
from operators.detection.peers import Peers
from operators.detectors import DEFAULT
from operators.detectors.beside import CONTRAST, SIBLINGS
from operators.series import SeriesKey, slice_of
from operators.settings import AlarmBudget, Detection

BUDGET, HISTORY, AFTER = 10_000, 800, 40
WITHOUT = tuple(name for name in DEFAULT if name not in ("siblings/1", "contrast/1"))


def part(model: int, kind: str = "duration", statistic: str = "mean", **fields: str) -> SeriesKey:
    places = {"service": "s", "request_model": str(model), "service_version": "v", **fields}
    return SeriesKey("t", "signal", statistic, None, slice_of(places), kind, "1")  # type: ignore[arg-type]


def load(rng: np.random.Generator, count: int, windows: int) -> np.ndarray:
    """What moves all parts of a model alike: a factor [windows, models] that follows itself."""
    out = np.zeros((windows, count))
    for t in range(1, windows):
        out[t] = 0.95 * out[t - 1] + 0.1 * np.sqrt(1 - 0.95**2) * rng.normal(size=count)
    return np.exp(out)


def judge(
    keys: list[SeriesKey], values: np.ndarray, detectors: tuple[str, ...] = (), **more: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and the ids of leading detectors, [windows, rows]; ``samples`` and ``hits`` alike."""
    budget = AlarmBudget(per_series_days=BUDGET / 1440)
    bank = Bank(Detection(detectors=detectors, per_signal={}, alarm_budget=budget), 60)
    rows = bank.add(keys, 0)
    onset, lead = np.zeros(values.shape, bool), np.zeros(values.shape, int)
    quiet = np.full(values.shape[1], 99)
    for t, row in enumerate(values):
        window = WindowValues.plain(row)
        for name, array in more.items():
            setattr(window, name, array[t])
        verdicts = bank.step(t * 60_000, rows, window)
        onset[t], lead[t] = verdicts.alarm & (quiet > 16), verdicts.detector
        quiet = np.where(verdicts.alarm, 0, quiet + 1)
    return onset, np.array(bank.detector_ids)[lead]


def sticky(rng: np.random.Generator, services: int, slower: float) -> tuple[list[SeriesKey], Any]:
    """Services of two routes, one with 0.8 % of the requests: [whole, rest, slice], which slows down."""
    windows, requests = HISTORY + AFTER, np.array([4000.0, 3968.0, 32.0])
    keys = [part(s, **fields) for s in range(services) for fields in ({}, {"route": "a"}, {"route": "b"})]
    base, noise = load(rng, services, windows), rng.normal(size=(2, windows, services)) * 0.5
    rest = base * (1 + noise[0] / np.sqrt(requests[1]))
    one = base * (1 + noise[1] / np.sqrt(requests[2]))
    one[HISTORY:] *= 1 + slower
    whole = (rest * requests[1] + one * requests[2]) / requests[0]
    values = np.stack((whole, rest, one), 2).reshape(windows, -1)
    return keys, {"values": values, "samples": np.tile(requests, (windows, services))}


def test_a_slice_of_one_in_a_hundred_that_slows_down_is_told_from_the_rest_within_minutes() -> None:
    keys, told = sticky(np.random.default_rng(1), 20, slower=0.3)
    onset, lead = judge(keys, **told)
    whole, rest, one = (onset[HISTORY:, place::3] for place in range(3))
    assert one[:15].any(0).mean() >= 0.9
    assert (lead[HISTORY:, 2::3][one] == "contrast/1").mean() >= 0.6
    assert whole.any(0).mean() <= 0.1
    assert rest.any(0).mean() <= 0.1
    alone, _ = judge(keys, detectors=WITHOUT, **told)
    assert alone[HISTORY : HISTORY + 15, 2::3].any(0).mean() <= 0.5


def test_slices_that_stay_alike_take_their_share_of_the_budget_at_most() -> None:
    keys, told = sticky(np.random.default_rng(2), 40, slower=0.0)
    onset, lead = judge(keys, **told)
    granted = onset[:, 1:].size / BUDGET
    assert (onset & (lead == "contrast/1")).sum() <= poisson.ppf(0.99, 0.12 * granted)


def replicas(rng: np.random.Generator, models: int, slower: float) -> tuple[list[SeriesKey], np.ndarray]:
    """Six replicas of each model under one load, the first of which slows down."""
    keys = [part(m, replica=str(r)) for m in range(models) for r in range(6)]
    windows = HISTORY + AFTER
    own = 1 + 0.05 * rng.normal(size=(1, models, 6)) + 0.03 * rng.normal(size=(windows, models, 6))
    own[HISTORY:, :, 0] *= 1 + slower
    return keys, (load(rng, models, windows)[:, :, None] * own).reshape(windows, -1)


def test_a_replica_a_little_slower_than_its_siblings_is_found() -> None:
    keys, values = replicas(np.random.default_rng(3), 20, slower=0.06)
    onset, lead = judge(keys, values)
    first = onset[HISTORY:, ::6]
    assert first[:30].any(0).mean() >= 0.8
    assert (lead[HISTORY:, ::6][first] == "siblings/1").mean() >= 0.8
    alone, _ = judge(keys, values, WITHOUT)
    assert alone[HISTORY:, ::6].any(0).mean() <= 0.3


def test_healthy_siblings_take_their_share_of_the_budget_at_most() -> None:
    keys, values = replicas(np.random.default_rng(4), 40, slower=0.0)
    onset, lead = judge(keys, values)
    assert (onset & (lead == "siblings/1")).sum() <= poisson.ppf(0.99, 0.12 * onset.size / BUDGET)


def test_siblings_that_were_never_alike_make_no_alarm_of_it() -> None:
    """Six that move for themselves: a common cause explains nothing, and the comparison keeps its budget."""
    rng = np.random.default_rng(5)
    keys = [part(m, replica=str(r)) for m in range(40) for r in range(6)]
    onset, lead = judge(keys, load(rng, len(keys), HISTORY + AFTER))
    assert (onset & (lead == "siblings/1")).sum() <= poisson.ppf(0.99, 0.12 * onset.size / BUDGET)


def test_errors_of_a_slice_are_weighed_by_what_chance_explains() -> None:
    rng = np.random.default_rng(6)
    keys = [part(s, "ratio", "ratio", **f) for s in range(20) for f in ({}, {"route": "a"}, {"route": "b"})]
    windows, requests = HISTORY + AFTER, np.array([4000, 3900, 100])
    wander = np.clip(0.02 * load(rng, 20, windows) ** 4, 0, 1)
    rest = rng.binomial(requests[1], wander)
    p = np.where(np.arange(windows)[:, None] < HISTORY, wander, np.minimum(3 * wander, 1))
    one = rng.binomial(requests[2], p)
    hits = np.stack((rest + one, rest, one), 2).reshape(windows, -1).astype(float)
    samples = np.tile(requests.astype(float), (windows, 20))
    onset, _ = judge(keys, hits / samples, samples=samples, hits=hits)
    assert onset[HISTORY:, 2::3].any(0).mean() >= 0.8


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.floats(-50, 50), min_size=1, max_size=7), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_a_row_is_compared_with_the_median_of_the_others(models: list[list[float]], random: Any) -> None:
    places = [(m, r) for m, own in enumerate(models) for r in range(len(own))]
    random.shuffle(places)
    peers = Peers()
    peers.add([part(m, "gauge", replica=str(r)) for m, r in places])
    values = np.array([models[m][r] for m, r in places])
    out = peers.differences(np.arange(len(places)), WindowValues.plain(values))
    assert out is not None
    assert np.isnan(out[CONTRAST]).all()
    for place, (m, r) in enumerate(places):
        others = [value for at, value in enumerate(models[m]) if at != r]
        if len(others) < 3:
            assert np.isnan(out[SIBLINGS, place])
        else:
            assert np.isclose(out[SIBLINGS, place], values[place] - np.median(others))


def test_a_bank_that_was_loaded_compares_on() -> None:
    keys, values = replicas(np.random.default_rng(7), 5, slower=0.2)
    bank = Bank(Detection(), 60)
    rows = bank.add(keys, 0)
    for t in range(HISTORY):
        bank.step(t * 60_000, rows, WindowValues.plain(values[t]))
    other = Bank(Detection(), 60)
    other.load(bank.arrays(), bank.keys)
    for t in range(HISTORY, HISTORY + AFTER):
        one, two = (b.step(t * 60_000, rows, WindowValues.plain(values[t])) for b in (bank, other))
        assert (one.score == two.score).all()
    assert "siblings/1" in np.array(bank.detector_ids)[one.detector[one.alarm]]
