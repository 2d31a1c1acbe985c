"""False discoveries across series at a tick."""

import numpy as np

from operators.detection.budget import step_up


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
