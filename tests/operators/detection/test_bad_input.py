"""What the bank makes of values, times and budgets that nobody should send."""

import numpy as np
import pytest
from streams import PERIOD_S, key, run, settings

from operators.detection import Bank, Verdicts, WindowValues
from operators.detection.verdicts import EMPIRICAL, EXTRAPOLATED, PRIOR

SHAPE = (120, 3)
#: Windows between false alarms that no history here comes near.
BEYOND = 10_000_000


def _sound(verdicts: list[Verdicts]) -> None:
    """Scores are finite, rates are rates, and nobody is called odd who is not given."""
    for v in verdicts:
        assert np.isfinite(v.score).all()
        assert ((v.p_value > 0) & (v.p_value <= 1)).all()
        assert set(np.unique(v.direction)) <= {-1, 0, 1}


@pytest.mark.parametrize(
    "odd", [np.inf, -np.inf, 1.7e308, -1.7e308, 5e-324, 1e-310, 1e29], ids=lambda value: f"{value:g}"
)
@pytest.mark.parametrize("at", [0, 10, 80])
def test_a_value_beyond_all_measure_leaves_a_row_and_its_neighbours_working(odd: float, at: int) -> None:
    rng = np.random.default_rng(51)
    values = 10 + rng.normal(size=SHAPE)
    clean = values.copy()
    values[at, 0] = odd
    values[-5:] += 40
    clean[-5:] += 40
    _, verdicts = run(values)
    _, without = run(clean)
    _sound(verdicts)
    for one, other in zip(verdicts, without, strict=True):
        assert (one.score[1:] == other.score[1:]).all()
    assert any(v.alarm[0] for v in verdicts[-5:]) or at < 24


@pytest.mark.parametrize("value", [0.0, 7.0, -1e12, 1e-300])
def test_a_constant_is_never_odd_and_what_ends_it_is_known_by_its_count(value: float) -> None:
    values = np.full(SHAPE, value)
    _, verdicts = run(values)
    _sound(verdicts)
    assert not any(v.alarm.any() for v in verdicts)
    assert max(v.score.max() for v in verdicts) < 2


def test_rows_without_values_stay_warming_and_silent() -> None:
    _, verdicts = run(np.full(SHAPE, np.nan))
    _sound(verdicts)
    assert all(v.warming.all() and not v.alarm.any() for v in verdicts)


def test_one_value_a_day_is_judged_after_its_warm_up() -> None:
    rng = np.random.default_rng(52)
    bank = Bank(settings(1000), PERIOD_S)
    rows = bank.add([key("a"), key("b")], 0)
    day, verdicts = 86_400_000, []
    for t in range(120):
        value = rng.normal(size=2)
        value[0] += 60 * (t == 100)
        verdicts.append(bank.step(t * day, rows, WindowValues.plain(value)))
    _sound(verdicts)
    assert verdicts[23].warming.all()
    assert not verdicts[25].warming.any()
    assert verdicts[100].score[0] > 3
    assert not any(v.alarm[1] for v in verdicts)


@pytest.mark.parametrize("jump_s", [-86_400 * 400, 3600])
def test_a_clock_that_jumps_is_no_anomaly(jump_s: int) -> None:
    """The hour of day a row is compared with changes; the values do not."""
    rng = np.random.default_rng(53)
    bank = Bank(settings(), PERIOD_S)
    rows = bank.add([key(str(i)) for i in range(6)], 0)
    start, verdicts = 500 * 86_400_000, []
    for t in range(500):
        time_ms = start + t * PERIOD_S * 1000 + (jump_s * 1000 if t >= 400 else 0)
        verdicts.append(bank.step(time_ms, rows, WindowValues.plain(rng.normal(size=6))))
    _sound(verdicts)
    assert sum(v.alarm.sum() for v in verdicts) <= 1


def test_a_row_that_is_restarted_forgets_what_it_measured() -> None:
    """As after a counter's reset: another level is the first thing that is learnt, and no anomaly."""
    rng = np.random.default_rng(54)
    bank = Bank(settings(), PERIOD_S)
    rows = bank.add([key("a"), key("b")], 0)
    alarms = []
    for t in range(600):
        value = 10 + rng.normal(size=2)
        if t == 400:
            bank.restart(rows[:1])
        value[0] += 1000 * (t >= 400)
        alarms.append(bank.step(t * PERIOD_S * 1000, rows, WindowValues.plain(value)).alarm)
    assert not np.array(alarms).any()


def test_a_budget_beyond_the_history_is_marked_and_not_deaf() -> None:
    rng = np.random.default_rng(55)
    values = rng.normal(size=(900, 40))
    values[890:] += 12
    _, verdicts = run(values, settings(BEYOND), samples=np.full(values.shape, 500.0))
    assert sum(v.alarm.sum() for v in verdicts[:890]) == 0
    assert np.array([v.alarm for v in verdicts[890:]]).any(0).mean() > 0.9
    assert (verdicts[100].calibration == PRIOR).all()
    assert (verdicts[895].calibration == EXTRAPOLATED).all()
    _, short = run(values, settings(100))
    assert (short[500].calibration == EMPIRICAL).all()
