import numpy as np
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def topics():
    """Draws unit vectors of 12 topics that come in runs, as the streams people watch."""

    def draw(random, rows, *, dim=32, run=1, shift=0.0, weights=None):
        centres = np.random.default_rng(5).standard_normal((12, dim)) * 1.2
        scale = np.linspace(1.6, 0.4, dim)
        topic = np.repeat(random.choice(12, size=-(-rows // run), p=weights), run)[:rows]
        x = random.standard_normal((rows, dim)) * scale + centres[topic]
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        x[:, 0] += shift
        return x.astype(np.float32)

    return draw


@pytest.fixture
def answers():
    """Answers to prompts: each turns what is peculiar about its prompt, and adds something of its own."""

    def draw(random, prompts, *, shift=0.0):
        turn = np.random.default_rng(6).standard_normal((prompts.shape[1], prompts.shape[1]))
        own = random.standard_normal(prompts.shape) * 0.1
        x = prompts @ turn / np.sqrt(prompts.shape[1]) + own
        x[:, 1] += shift
        return x.astype(np.float32)

    return draw
