"""New versions and replicas of a known model start from their relatives; returning ones from themselves."""

import numpy as np
from scipy.stats import poisson
from streams import key

from operators.detection import Bank, Verdicts, WindowValues
from operators.detection.verdicts import PRIOR
from operators.series import SeriesKey, slice_of
from operators.settings import Detection

#: Deviation of a window, and of versions from each other; windows of history.
SD, APART, HISTORY = 0.05, 0.025, 120


def series(model: int, version: str, replica: str | None = None, kind: str = "duration") -> SeriesKey:
    fields = {"service": "s", "request_model": str(model), "service_version": version, "replica": replica}
    return key("", kind)._replace(slice=slice_of(fields))


def windows(rng: np.random.Generator, levels: np.ndarray, samples: float = 400.0) -> WindowValues:
    noise = SD * np.sqrt(400.0 / samples) * rng.normal(size=len(levels))
    unknown = np.full(len(levels), np.nan)
    return WindowValues(levels + noise, np.full(len(levels), samples), unknown, np.zeros(len(levels)))


class Fleet:
    """Models with eight versions each, watched for a while at one value a minute."""

    def __init__(self, models: int, seed: int, kind: str = "duration", versions: int = 8) -> None:
        self.rng = np.random.default_rng(seed)
        self.bank, self.time, self.kind = Bank(Detection(), 60.0), 0, kind
        keys = [series(m, f"v{v}", kind=kind) for m in range(models) for v in range(versions)]
        self.rows = self.bank.add(keys, 0)
        self.levels = self.like(len(keys))
        for _ in range(HISTORY):
            self.step(self.rows, self.levels)

    def like(self, count: int) -> np.ndarray:
        return 1.0 + APART * self.rng.normal(size=count)

    def step(self, rows: np.ndarray, levels: np.ndarray, samples: float = 400.0) -> Verdicts:
        self.time += 60_000
        return self.bank.step(self.time, rows, windows(self.rng, levels, samples))

    def newcomers(self, count: int, replica: str | None = None) -> np.ndarray:
        models = len(self.rows) // 8
        keys = [series(n % models, f"new{n}", replica, self.kind) for n in range(count)]
        return self.bank.add(keys, self.time)


def test_healthy_new_versions_stay_within_the_budget() -> None:
    """1,000 of them in their first 40 minutes, at one false onset in 90 days a series."""
    fleet = Fleet(100, seed=1)
    rows, levels = fleet.newcomers(1000), fleet.like(1000)
    alarm = np.array([fleet.step(rows, levels).alarm for _ in range(40)])
    assert alarm.any(0).sum() <= poisson.ppf(0.99, 1000 * 40 / (90 * 1440))


def test_degraded_new_version_is_caught_within_ten_windows() -> None:
    fleet = Fleet(20, seed=2)
    rows = fleet.newcomers(20)
    levels = fleet.like(20) + 4 * np.hypot(SD, APART)
    verdicts = [fleet.step(rows, levels) for _ in range(10)]
    found = np.array([v.alarm for v in verdicts])
    assert found.any(0).mean() >= 0.8
    told = [v for v in verdicts if v.alarm.any()]
    assert all((v.calibration == PRIOR).all() and v.warming.all() for v in told)
    assert all((v.direction[v.alarm] == 1).all() for v in told)


def test_first_replica_of_a_known_model_starts_from_the_whole() -> None:
    fleet = Fleet(4, seed=3)
    rows = fleet.newcomers(4, replica="r1")
    found = np.array([fleet.step(rows, np.full(4, 3.0)).alarm for _ in range(10)])
    assert found.any(0).all()


def test_canary_of_few_samples_is_noisier_and_no_alarm() -> None:
    fleet = Fleet(20, seed=4)
    rows, levels = fleet.newcomers(20), fleet.like(20)
    assert not np.array([fleet.step(rows, levels, samples=8.0).alarm for _ in range(40)]).any()


def test_traffic_has_no_relatives() -> None:
    """A canary's share of the traffic says nothing of its health."""
    fleet = Fleet(4, seed=5, kind="count")
    verdicts = [fleet.step(fleet.newcomers(4), np.full(4, 1000.0)) for _ in range(3)]
    assert not any(v.alarm.any() for v in verdicts)
    assert all(v.warming.all() for v in verdicts)
    assert fleet.bank.warming() == (12, 23 * 60.0)


def test_relatives_outlive_a_snapshot() -> None:
    fleet = Fleet(4, seed=6)
    other = Bank(Detection(), 60.0)
    other.load(fleet.bank.arrays(), fleet.bank.keys)
    rows = fleet.newcomers(4)
    other.add(fleet.bank.keys[len(other.keys) :], fleet.time)
    for _ in range(5):
        fleet.time += 60_000
        given = windows(fleet.rng, fleet.like(4))
        one, two = (bank.step(fleet.time, rows, given) for bank in (fleet.bank, other))
        np.testing.assert_array_equal(one.score, two.score)
    assert (one.calibration == PRIOR).all()


def test_returning_version_has_its_baseline_back() -> None:
    """Five rolls forward and back between versions whose levels are far apart: no event."""
    fleet = Fleet(20, seed=7, versions=2)
    levels = np.where(np.arange(40) % 2, 1.0, 3.0)
    fleet.bank.restart(fleet.rows)
    for _ in range(HISTORY):
        fleet.step(fleet.rows, levels)
    for _ in range(5):
        for version in (0, 1):
            for _ in range(60):
                verdicts = fleet.step(fleet.rows[version::2], levels[version::2])
                assert not verdicts.alarm.any()
                assert not verdicts.warming.any()
    np.testing.assert_allclose(verdicts.expected, levels[1::2], atol=3 * SD)


def test_a_change_that_was_meant_is_the_new_normal_at_once() -> None:
    fleet = Fleet(10, seed=8)
    moved = fleet.levels + 40 * SD
    first = [fleet.step(fleet.rows, moved) for _ in range(5)]
    assert np.array([v.alarm for v in first]).any(0).all()
    fleet.bank.accept(fleet.rows, 5)
    later = [fleet.step(fleet.rows, moved) for _ in range(30)]
    assert not np.array([v.alarm for v in later]).any()
    np.testing.assert_allclose(later[-1].expected, moved, atol=3 * SD)
    back = [fleet.step(fleet.rows, fleet.levels) for _ in range(5)]
    assert np.array([v.alarm for v in back]).any(0).all()


def test_many_new_series_at_once_start_from_the_mature_ones_and_state_is_bounded() -> None:
    """100,000 in one window: rows take what a row takes, and those before them stay the relatives of all."""
    fleet = Fleet(20, seed=9)
    rows = fleet.newcomers(100_000)
    first = fleet.step(rows[:2000], fleet.like(2000))
    assert (first.calibration == PRIOR).all()
    state = fleet.bank.arrays()
    assert (state["lent"][rows[:2000]] > 0).all()
    assert sum(array.nbytes for array in state.values()) <= 2048 * len(fleet.bank.keys)
