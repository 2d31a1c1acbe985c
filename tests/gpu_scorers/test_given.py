"""Answers given their prompts: what was asked is no drift of the answers, what was answered is."""

import numpy as np
import pytest
import torch

from gpu_scorers import arrays, numpy_reference
from gpu_scorers.reference import Reference
from gpu_scorers.scores import SCORERS
from gpu_scorers.spec import Spec

BUCKETS, ROWS = 16, 150
#: Another mix of the twelve topics than the even one that is usual.
OTHER = np.r_[np.full(3, 9.0), np.ones(9)] / 36


class World:
    """Prompts in runs, their answers, and windows of both as one sketch."""

    def __init__(self, topics, answers):
        self.random = np.random.default_rng(4)
        self.topics, self.answers = topics, answers
        asked = self.prompts(3000)
        said = answers(self.random, asked)
        self.prompt = Spec.fit(asked, features=64, clusters=24, axes=8)
        self.alone = Spec.fit(said, features=64, clusters=24, axes=8)
        self.spec = self.alone.with_prompts(said, self.prompt, asked)

    def prompts(self, rows, weights=None):
        return self.topics(self.random, rows, run=10, weights=weights)

    def window(self, weights=None, shift=0.0):
        layout = self.spec.layout
        asked = self.prompts(ROWS, weights)
        sums, beside = np.zeros((1, layout.width)), np.zeros((1, self.prompt.layout.width))
        arrays.fold(self.alone, sums, self.answers(self.random, asked, shift=shift), np.zeros(ROWS, int))
        arrays.fold(self.prompt, beside, asked, np.zeros(ROWS, int))
        return np.concatenate([sums[0], beside[0, self.prompt.layout.regressors]])

    def smallest(self, spec, windows):
        """Smallest p-value of each window, and the reference's buckets."""
        buckets = np.stack([self.window() for _ in range(BUCKETS)])[:, : spec.layout.whole]
        model = Reference.build(spec, torch.from_numpy(buckets[None]))
        every = Reference(spec, model.model.expand(len(windows), -1), model.effective.expand(len(windows)))
        p = every.score(torch.from_numpy(np.stack(windows)[:, : spec.layout.whole])).p
        return p.amin(1).numpy()


@pytest.fixture
def world(topics, answers):
    return World(topics, answers)


def test_torch_agrees_with_numpy_about_answers_given_prompts(world):
    buckets, window, late = [world.window() for _ in range(BUCKETS)], world.window(shift=0.1), world.window()
    reference = Reference.build(world.spec, torch.from_numpy(np.stack(buckets)[None]))
    for recent in (None, late):
        several = None if recent is None else torch.from_numpy(recent[None])
        got = reference.score(torch.from_numpy(window[None]), several).p[0].numpy()
        want = numpy_reference.p_values(world.spec, np.stack(buckets), window, recent)
        assert list(want) == [scorer.name for scorer in SCORERS]
        np.testing.assert_allclose(
            np.log(got), np.log(np.maximum([*want.values()], 1e-30)), rtol=1e-5, atol=1e-7
        )


def test_another_mix_of_questions_is_drift_only_to_answers_alone(world):
    moved = [world.window(OTHER) for _ in range(12)]
    alone, given = world.smallest(world.alone, moved), world.smallest(world.spec, moved)
    assert np.median(alone) < 1e-3
    assert np.median(given) > 1e-2


def test_a_change_of_the_answers_stands_out_from_sessions(world):
    changed = [world.window(shift=0.1) for _ in range(12)]
    given, alone = world.smallest(world.spec, changed), world.smallest(world.alone, changed)
    assert np.median(given) < 1e-6
    assert np.median(given) < np.median(alone)


def test_a_spec_with_prompts_survives_its_arrays(world):
    again = Spec.from_arrays(world.spec.arrays())
    window = torch.from_numpy(world.window())
    assert again.layout == world.spec.layout
    assert torch.equal(
        again.given.expect(window[again.layout.width :]),
        world.spec.given.expect(window[again.layout.width :]),
    )
