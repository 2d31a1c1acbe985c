"""False discoveries across series at a tick."""

import msgspec
import numpy as np

from operators.columns import Columns, Field
from operators.detection import Bank, WindowValues
from operators.detection.budget import FIELDS, Budget, step_up
from operators.series import SeriesKey, fingerprint
from tests.operators.detection.streams import settings


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


def _onsets(rows: int, rate: float, found: int) -> int:
    """Onsets of a tick in which ``found`` of ``rows`` rows claim ``rate``, at a budget of 1,000 windows."""
    columns = Columns((*FIELDS, Field("n")))
    columns.add(rows)
    state = columns.take(slice(0, rows))
    claims = np.where(np.arange(rows) < found, rate, 1.0)
    return int(Budget(1000, 0.05).decide(state, claims, np.ones(rows, bool), rows).sum())


def test_in_a_large_fleet_a_lone_onset_needs_more_and_many_together_do_not() -> None:
    assert _onsets(rows=10, rate=9e-4, found=1) == 1
    assert _onsets(rows=10_000, rate=9e-4, found=1) == 0
    assert _onsets(rows=10_000, rate=4e-6, found=1) == 1
    assert _onsets(rows=10_000, rate=9e-4, found=200) == 200
    assert _onsets(rows=10_000, rate=2e-3, found=200) == 0  # never beyond a row's own budget


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
