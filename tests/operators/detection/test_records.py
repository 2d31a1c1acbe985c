"""What a row's own events teach it."""

import numpy as np
from streams import onsets, run


def test_the_eighth_incident_is_heard_like_the_first() -> None:
    rng = np.random.default_rng(3)
    begins = 400 + 537 * np.arange(8)  # at no time of day twice
    values = rng.normal(size=(begins[-1] + 100, 20))
    for begin in begins:
        values[begin : begin + 3] += 10
    alarm = np.array([v.alarm for v in run(values)[1]])
    heard = [alarm[begin : begin + 4].any(0).mean() for begin in begins]
    assert min(heard) >= 0.9


def test_what_comes_every_hour_is_not_told_for_ever() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(2000, 20))
    values[41::41] += 15
    verdicts = run(values)[1]
    early, late = verdicts[:1000], verdicts[1000:]
    assert onsets(early).mean() >= 1
    assert onsets(late).mean() <= 1
