"""The bank holds its budget, sees what it must, and does not depend on how rows are batched."""

import numpy as np
import pytest
from scipy.stats import poisson
from streams import PERIOD_S, key, onsets, run, settings

from operators.detection import Bank, WindowValues
from operators.detectors import REGISTRY
from operators.settings import Detection
from operators.state import StateError


def _ar(rng: np.random.Generator, shape: tuple[int, int], phi: float) -> np.ndarray:
    out = rng.normal(size=shape)
    for t in range(1, shape[0]):
        out[t] = phi * out[t - 1] + np.sqrt(1 - phi * phi) * out[t]
    return out


def test_budget_holds_where_nothing_is_wrong() -> None:
    """Onsets at 1 in 1,000 stay below the 99.9 % quantile of 1.5 x the budget, 30 streams."""
    rng = np.random.default_rng(7)
    shape = (2000, 10)
    values = np.hstack([rng.normal(size=shape), _ar(rng, shape, 0.8), rng.poisson(5, shape).astype(float)])
    _, verdicts = run(values, settings(1000))
    for part in np.split(onsets(verdicts), 3):
        assert part.sum() <= poisson.ppf(0.999, 1.5 * 10 * 2000 / 1000)


def test_rare_ratio_is_honest_from_the_first_window() -> None:
    """Ratio 0.001 on 20 to 2,000 trials, cold start included: where the budget grants 3.2 onsets."""
    rng = np.random.default_rng(3)
    trials = np.exp(rng.uniform(np.log(20), np.log(2000), (400, 80))).astype(int)
    hits = rng.binomial(trials, 0.001).astype(float)
    _, verdicts = run(hits / trials, settings(10_000), hits=hits, samples=trials.astype(float))
    assert onsets(verdicts).sum() <= poisson.ppf(0.99, 400 * 80 / 10_000)


def test_shift_of_a_ratio_is_seen() -> None:
    rng = np.random.default_rng(4)
    p = np.where(np.arange(500) < 480, 0.01, 0.03)[:, None]
    hits = rng.binomial(2000, np.broadcast_to(p, (500, 12))).astype(float)
    _, verdicts = run(hits / 2000, hits=hits, samples=np.full(hits.shape, 2000.0))
    late = np.array([v.alarm for v in verdicts[480:]])
    assert late[:5].any(0).mean() >= 0.9


@pytest.mark.parametrize("shift", [4.0, -4.0])
def test_shift_is_found_within_ten_windows_with_its_direction(shift: float) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(900, 20))
    values[880:] += shift
    _, verdicts = run(values)
    late = verdicts[880:890]
    found = np.array([v.alarm for v in late])
    assert found.any(0).mean() >= 0.9
    sides = np.array([v.direction for v in late])[found]
    assert (np.sign(sides) == np.sign(shift)).mean() > 0.9


def test_lasting_shift_ends_as_the_new_normal() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(size=(1400, 20))
    values[1000:] += 8
    _, verdicts = run(values)
    alarm = np.array([v.alarm for v in verdicts])
    assert alarm[1000:1005].any(0).all()
    assert alarm[1150:].mean() < 0.01


@pytest.mark.parametrize(("windows", "size"), [(12, 15.0), (40, 15.0), (40, 6.0), (40, -15.0)])
def test_an_incident_on_a_daily_pattern_ends_with_it(windows: int, size: float) -> None:
    """The predictor follows what lasts; when that is over, the alarm is, and nothing was learnt of it."""
    rng = np.random.default_rng(15)
    day = 5 * np.sin(np.arange(2600) / 288 * 2 * np.pi)
    values = day[:, None] + rng.normal(size=(2600, 20))
    values[2000 : 2000 + windows] += size
    bank, verdicts = run(values)
    alarm = np.array([v.alarm for v in verdicts])[2000:]
    assert alarm[:5].any(0).all()
    assert np.median(alarm[windows:].sum(0)) <= 24
    assert alarm[windows + 60 :].mean() < 0.001
    assert abs(bank.arrays()["level"]).mean() < 0.2


def test_great_anomaly_ends_soon_though_the_level_is_not_quite_what_it_was() -> None:
    """Fifty windows at +6, then a little below: mostly over within 16 windows."""
    values = np.random.default_rng(8).normal(size=(900, 12))
    values[700:750] += 6
    values[750:] -= 0.3
    _, verdicts = run(values)
    alarm = np.array([v.alarm for v in verdicts])
    assert alarm[700:705].any(0).all()
    assert np.median(alarm[766:].sum(0)) == 0


@pytest.mark.parametrize("name", ["constant", "noise-free day", "square", "hourly batch", "missing", "few"])
def test_patterns_do_not_stay_in_alarm(name: str) -> None:
    rng = np.random.default_rng(8)
    t = np.arange(288 * 5)[:, None]
    day = (t / 288 + rng.random(4)) % 1
    values = {
        "constant": np.full(day.shape, 3.0),
        "noise-free day": 50 + 20 * np.sin(2 * np.pi * day),
        "square": 20 + 60.0 * ((day > 0.4) & (day < 0.7)),
        "hourly batch": 5 + rng.normal(size=day.shape) + 30.0 * ((t + rng.integers(0, 12, 4)) % 12 < 2),
        "missing": np.full(day.shape, np.nan),
        "few": np.round(2 * np.sin(2 * np.pi * day)),
    }[name]
    _, verdicts = run(values)
    alarm = np.array([v.alarm for v in verdicts])
    assert alarm[288 * 3 :].mean() < 0.01
    assert all(np.isfinite(v.score).all() for v in verdicts)


def test_rows_do_not_depend_on_their_company_or_order() -> None:
    """The same series, alone, among others, in scattered subsets: bit-equal scores."""
    rng = np.random.default_rng(9)
    values = np.column_stack([rng.poisson(2, 300), rng.normal(size=300), rng.normal(size=300)]).astype(float)
    together, all_rows = Bank(settings(), PERIOD_S), None
    all_rows = together.add([key(n) for n in "abc"], 0)
    alone = Bank(settings(), PERIOD_S)
    row = alone.add([key("c")], 0)
    split = Bank(settings(), PERIOD_S)
    split_rows = split.add([key(n) for n in "cab"], 0)
    for t, v in enumerate(values):
        one = together.step(t * 300_000, all_rows, WindowValues.plain(v))
        two = alone.step(t * 300_000, row, WindowValues.plain(v[2:]))
        three = split.step(t * 300_000, split_rows[[0, 2]], WindowValues.plain(v[[2, 1]]))
        assert one.score[2] == two.score[0] == three.score[0]


@pytest.mark.parametrize(
    "detectors", [(), ("spike/1", "cusum/1", "adwin/1", "hddm_a/1", "page_hinkley/1", "flat/1")]
)
def test_snapshot_goes_on_as_if_never_taken(detectors: tuple[str, ...]) -> None:
    rng = np.random.default_rng(10)
    values = rng.normal(size=(260, 5))
    chosen = settings(detectors=detectors)
    bank, _ = run(values[:200], chosen)
    other = Bank(chosen, PERIOD_S)
    other.load({name: array.copy() for name, array in bank.arrays().items()}, bank.keys)
    rows = np.arange(5)
    for t in range(200, 260):
        window = WindowValues.plain(values[t])
        one, two = bank.step(t * 300_000, rows, window), other.step(t * 300_000, rows, window)
        assert (one.score == two.score).all()


def test_another_layout_is_refused() -> None:
    bank, _ = run(np.zeros((3, 2)))
    with pytest.raises(StateError, match="for other detectors"):
        Bank(settings(detectors=("spike/1",)), PERIOD_S).load(bank.arrays(), bank.keys)


def test_unknown_detector_is_named() -> None:
    with pytest.raises(ValueError, match="nonsense/1"):
        Bank(Detection(detectors=("nonsense/1",)), 60)


@pytest.mark.parametrize("name", sorted(set(REGISTRY) - {"flat/1"}))
def test_every_detector_keeps_quiet_alone(name: str) -> None:
    rng = np.random.default_rng(11)
    with_spike = ("spike/1", name) if REGISTRY[name].rates else (name,)
    _, verdicts = run(rng.normal(size=(700, 4)), settings(1000, detectors=with_spike))
    assert onsets(verdicts).sum() <= poisson.ppf(0.999, 1.5 * 4 * 700 / 1000)


def test_a_signal_may_have_its_own_detectors() -> None:
    rng = np.random.default_rng(12)
    bank = Bank(settings(per_signal={"calm": ("variance/1",)}), PERIOD_S)
    rows = bank.add([key("a"), key("a", signal="calm")], 0)
    values = np.repeat(rng.normal(size=(900, 1)), 2, axis=1)
    values[850] = 30
    for t, v in enumerate(values):
        verdicts = bank.step(t * 300_000, rows, WindowValues.plain(v))
        if t == 850:
            assert verdicts.alarm.tolist() == [True, False]


def test_state_of_a_row_is_within_two_kibibytes() -> None:
    assert Bank(Detection(), 60).bytes_per_row <= 2048


@pytest.mark.parametrize("rows", [12, 1200])
def test_a_rehearsal_leaves_what_its_windows_leave_one_by_one(rows: int) -> None:
    """Of a few rows and of a fleet's worth."""
    trials = np.random.default_rng(8).integers(1, 500, rows).astype(float)
    none, times = np.zeros(rows), [t * PERIOD_S * 1000 for t in range(40)]
    window = WindowValues(none, trials, none, none)
    one_by_one, rehearsed = Bank(settings(), PERIOD_S), Bank(settings(), PERIOD_S)
    for bank in (one_by_one, rehearsed):
        bank.add([key(str(i), "ratio") for i in range(rows)], 0)
    for time_ms in times:
        one_by_one.step(time_ms, np.arange(rows), window)
    rehearsed.rehearse(times, np.arange(rows), window)
    expected, found = one_by_one.arrays(), rehearsed.arrays()
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
