"""False discoveries across the series of a fleet."""

import msgspec
import numpy as np
import pytest

from operators.columns import Columns, Field
from operators.detection import Bank, WindowValues
from operators.detection import bank as bank_module
from operators.detection.budget import FIELDS, PATIENCE, Budget, step_up
from operators.series import SeriesKey, fingerprint
from tests.operators.detection.streams import PERIOD_S, key, settings


def test_false_discovery_rate_holds() -> None:
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(300):
        p = rng.random(500)
        p[:25] *= 1e-5
        found = step_up(p, 0.1)
        assert found[:25].all()
        shares.append(found[25:].sum() / max(found.sum(), 1))
    assert np.mean(shares) <= 0.1 + 3 * np.std(shares) / 300**0.5


def test_nothing_in_nothing_out() -> None:
    assert step_up(np.zeros(0), 0.05).shape == (0,)
    assert not step_up(np.ones(5), 0.05).any()


def test_a_part_of_the_hypotheses_finds_no_more_than_the_whole() -> None:
    rng = np.random.default_rng(2)
    p = rng.random(400) ** 4
    assert not (step_up(p[:200], 0.1, 400) & ~step_up(p, 0.1)[:200]).any()


class Fleet:
    """Rows of a budget of ``windows`` without detectors: event rates in, alarms out."""

    def __init__(self, rows: int, windows: float = 1000) -> None:
        columns = Columns((*FIELDS, Field("n")))
        self.rows, self.budget = columns.add(rows), Budget(windows, 0.05)
        self.state = columns.take(slice(0, rows))

    def alarms(self, rate: np.ndarray) -> np.ndarray:
        active, across = np.ones(len(rate), bool), self.budget.across(len(rate))
        claim = self.budget.decide(self.state, rate, active, claims=across)
        return self.budget.discoveries(self.state, self.rows, rate, claim) if across else claim


def _onsets(rows: int, rate: float, found: int) -> int:
    """Onsets of a tick in which ``found`` of ``rows`` rows claim ``rate``, at a budget of 1,000 windows."""
    return int(Fleet(rows).alarms(np.where(np.arange(rows) < found, rate, 1.0)).sum())


def test_in_a_large_fleet_a_lone_onset_needs_more_and_many_together_do_not() -> None:
    assert _onsets(rows=10, rate=9e-4, found=1) == 1
    assert _onsets(rows=10_000, rate=9e-5, found=1) == 0
    assert _onsets(rows=10_000, rate=4e-7, found=1) == 1
    assert _onsets(rows=10_000, rate=9e-5, found=200) == 200
    assert _onsets(rows=10_000, rate=2e-3, found=10_000) == 0  # never beyond a row's own budget


def test_what_was_found_of_late_counts_and_what_stands_for_long_does_not_profit_from_it() -> None:
    fleet, rate = Fleet(10_000), np.ones(10_000)
    rate[0] = 9e-5
    assert not any(fleet.alarms(rate).any() for _ in range(int(PATIENCE)))
    rate[1:201] = 1e-5  # 200 * .05 / (10,000 * 10) is 1e-4
    assert fleet.alarms(rate).sum() == 200
    rate[201] = 9e-5
    assert np.flatnonzero(fleet.alarms(rate)).tolist() == list(range(1, 202))
    for _ in range(int(PATIENCE)):
        fleet.alarms(rate)
    rate[202] = 9e-5
    found = fleet.alarms(rate)
    assert found[201]  # who alarms goes on
    assert not found[202]  # who comes late is alone again
    assert fleet.state["own_events"].sum() == 201


def test_false_onsets_stay_below_their_share_in_quiet_and_in_an_incident() -> None:
    """1,000 rows whose event rates hold, 20 of which begin to be ever odder within five windows."""
    rng = np.random.default_rng(5)
    shares, before = [], 0
    for _ in range(40):
        fleet, found = Fleet(1000), np.zeros(1000, bool)
        starts = 40 + rng.integers(0, 5, 20)
        for t in range(50):
            rate = rng.random(1000)
            rate[:20] = np.where(t >= starts, 10.0 ** (-3.0 - (t - starts)), rate[:20])
            alarm = fleet.alarms(rate)
            found |= alarm & (t >= 40)
            before += int(alarm.sum()) if t < 40 else 0
        assert found[:20].all()
        shares.append(found[20:].sum() / found.sum())
    assert np.mean(shares) <= 0.05 + 3 * np.std(shares) / 40**0.5
    assert before <= 0.05 * 40 * 40 / PATIENCE + 3 * (0.05 * 40 * 40 / PATIENCE) ** 0.5


def test_how_a_fleet_is_cut_into_blocks_and_when_it_is_saved_changes_no_alarm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """120 rows at a budget of 1,000 windows, of which 30, everywhere among them, shift."""
    rng = np.random.default_rng(6)
    shift = 4.0 * (np.arange(120) % 4 == 0)
    values = rng.standard_normal((420, 120)) + shift * (np.arange(420) >= 400)[:, None]
    told = []
    for block in (2048, 32):
        monkeypatch.setattr(bank_module, "BLOCK", block)
        bank, keys = Bank(settings(1000), PERIOD_S), [key(str(i)) for i in range(120)]
        bank.add(keys, 0)
        alarms = []
        for t, value in enumerate(values):
            if t == 402 and block == 32:
                arrays, bank = bank.arrays(), Bank(settings(1000), PERIOD_S)
                bank.load(arrays, keys)
            given = WindowValues.plain(value.copy())
            alarms.append(bank.step(t * PERIOD_S * 1000, np.arange(120), given).alarm)
        told.append(np.array(alarms))
    assert (told[0] == told[1]).all()
    assert told[0][400:, shift > 0].any(0).all()


def test_a_detector_found_wrong_needs_more_on_that_series_alone() -> None:
    keys = [SeriesKey("t", "s", "mean", None, (("replica", name),), "gauge", "1") for name in "ab"]
    plain = Bank(settings(1000), 60)
    lowered = {fingerprint(keys[0], name): 1 / 64 for name in plain.detector_ids}
    strict = Bank(msgspec.structs.replace(settings(1000), budget_shares=lowered), 60)
    rng = np.random.default_rng(3)
    for bank in (plain, strict):
        bank.add(keys, 0)
    rows, told = np.arange(2), []
    for t in range(400):
        value = np.repeat(rng.standard_normal(), 2) + (4.0 if t == 399 else 0.0)
        told = [bank.step(t * 60_000, rows, WindowValues.plain(value.copy())) for bank in (plain, strict)]
    assert told[1].p_value[0] > 2 * told[0].p_value[0]
    assert told[1].p_value[1] == told[0].p_value[1]
