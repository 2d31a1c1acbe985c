"""Windows against references: the batched code against plain numpy, size, power, and who sees what."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpu_scorers import arrays, numpy_reference
from gpu_scorers.calibration import Calibration
from gpu_scorers.reference import Reference, held_out
from gpu_scorers.scores import FAMILIES, SCORERS
from gpu_scorers.spec import Spec

NAMES = [scorer.name for scorer in SCORERS]
SERIES, BUCKETS, ROWS = 12, 16, 150


@pytest.fixture
def random():
    return np.random.default_rng(3)


def _sketches(spec, draw, count=SERIES, rows=ROWS):
    """Sketches of ``count`` windows."""
    sums = np.zeros((count, spec.layout.width))
    x = np.concatenate([draw(rows) for _ in range(count)])
    arrays.fold(spec, sums, x, np.repeat(np.arange(count), rows))
    return sums


@pytest.fixture(params=[1, 10], ids=["iid", "runs of 10"])
def world(request, topics, random):
    """A spec, reference buckets [series, buckets, width], and a maker of windows."""

    def draw(rows, **drift):
        return topics(random, rows, run=request.param, **drift)

    spec = Spec.fit(draw(3000), features=64, clusters=24, axes=8)
    buckets = np.stack([_sketches(spec, draw) for _ in range(BUCKETS)], 1)
    return spec, buckets, draw


def test_torch_agrees_with_numpy(world):
    spec, buckets, draw = world
    windows = _sketches(spec, lambda rows: draw(rows, shift=0.03))
    reference = Reference.build(spec, torch.from_numpy(buckets))
    got = reference.score(torch.from_numpy(windows)).p.numpy()
    for series in range(4):
        want = numpy_reference.p_values(spec, buckets[series], windows[series])
        assert list(want) == NAMES
        np.testing.assert_allclose(
            np.log(got[series]), np.log(np.maximum([*want.values()], 1e-30)), rtol=1e-6, atol=1e-8
        )


def test_a_batch_says_what_each_series_says_alone(world):
    spec, buckets, draw = world
    windows = _sketches(spec, draw)
    models = [arrays.build(spec, each[None])[0] for each in buckets]
    for alone, built in zip(models, arrays.build(spec, np.stack(list(buckets))), strict=True):
        np.testing.assert_allclose(built.model, alone.model, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(built.null, alone.null, rtol=1e-9)
    together = arrays.score(spec, np.stack([m.model for m in models]), windows).p
    for series in range(3):
        alone = arrays.score(spec, models[series].model[None], windows[series : series + 1]).p
        np.testing.assert_allclose(together[series], alone[0], rtol=1e-9)


def test_windows_of_several_specs_say_side_by_side_what_they_say_alone(random):
    due = []
    for seed in range(3):
        x = random.normal(size=(400, 16))
        spec = Spec.fit(x, features=32, clusters=8 if seed < 2 else 6, axes=4, seed=seed)
        buckets = np.stack([_sketches(spec, lambda n: random.normal(size=(n, 16)), 2) for _ in range(8)], 1)
        models = np.stack([each.model for each in arrays.build(spec, buckets)])
        windows = _sketches(spec, lambda n: random.normal(size=(n, 16)) + 0.1, 2)
        due.append(arrays.Due(spec, models, windows, buckets[:, -1]))
    for one, together in zip(due, arrays.score_each(due), strict=True):
        alone = arrays.score(*one)
        for name in ("p", "observed", "expected"):
            assert np.array_equal(getattr(alone, name), getattr(together, name))


def test_calibrated_size_and_power(world):
    spec, buckets, draw = world
    reference = Reference.build(spec, torch.from_numpy(buckets))
    calibration = Calibration(held_out(spec, torch.from_numpy(buckets)).reshape(-1, len(SCORERS)))
    quiet = torch.cat(
        [calibration(reference.score(torch.from_numpy(_sketches(spec, draw))).p).p for _ in range(20)]
    )
    rate = (quiet < 0.05).double().mean(0)
    assert (rate < 0.1).all(), dict(zip(FAMILIES, rate.tolist(), strict=True))
    assert (quiet < 0.001).double().mean() < 0.005
    moved = calibration(reference.score(torch.from_numpy(_sketches(spec, lambda n: draw(n, shift=0.15)))).p).p
    assert (moved[:, FAMILIES.index("mean")] < 0.01).double().mean() > 0.9


def test_no_two_topics_share_a_centroid():
    """Topics far apart, fewer than centroids: none looks new each time it comes up."""
    random = np.random.default_rng(5)
    centre = 1.5 * np.linalg.qr(random.standard_normal((48, 48)))[0][:40]
    topic = random.integers(40, size=2000)
    x = (centre[topic] + 0.1 * random.standard_normal((2000, 48))).astype(np.float32)
    spec = Spec.fit(x, features=64, clusters=48, axes=8)
    sums = np.zeros((40, spec.layout.width))
    arrays.fold(spec, sums, x, topic)
    topics_met = (sums[:, spec.layout.blocks["clu"]] > 0).sum(0)
    assert topics_met.max() == 1


@given(st.floats(0.5, 3.0), st.integers(0, 400))
def test_the_rarer_a_window_the_more_doubt(scale, values):
    """Calibrated p-values fall with the parametric ones, and beyond the body never below the theory's."""
    random = np.random.default_rng(values)
    null = torch.from_numpy(np.exp(-scale * random.exponential(size=(values, len(SCORERS)))))
    calibration = Calibration(null if values else None)
    p = torch.logspace(-1.5, -25, 200, dtype=torch.float64)[:, None].expand(-1, len(SCORERS)).contiguous()
    said = calibration(p)
    assert (said.each.diff(dim=0) <= 0).all()
    assert (said.p.diff(dim=0) <= 0).all()
    assert (said.each[p[:, 0] < 1e-6] >= p[p[:, 0] < 1e-6]).all()


def _new_mix(draw, rows):
    return draw(rows, weights=[0.45, *[0.05] * 11])


def _repeated(draw, rows):
    x = draw(rows)
    x[:: rows // 8] = x[0]
    return x


def _wider(draw, rows):
    x = draw(rows)
    return x + 0.25 * np.random.default_rng(4).standard_normal(x.shape).astype(np.float32) * x.std()


def _strangers(draw, rows):
    x = draw(rows)
    x[:: rows // 12] *= -1
    return x


@pytest.mark.parametrize(
    ("family", "drift"),
    [("mix", _new_mix), ("repeats", _repeated), ("spread", _wider), ("tails", _strangers)],
)
def test_each_family_sees_its_own_kind_of_drift(topics, random, family, drift):
    def draw(rows, **options):
        return topics(random, rows, **options)

    spec = Spec.fit(draw(3000), features=64, clusters=24, axes=8)
    buckets = torch.from_numpy(np.stack([_sketches(spec, draw) for _ in range(BUCKETS)], 1))
    calibration = Calibration(held_out(spec, buckets).reshape(-1, len(SCORERS)))
    windows = torch.from_numpy(_sketches(spec, lambda rows: drift(draw, rows)))
    said = calibration(Reference.build(spec, buckets).score(windows).p)
    assert said.p[:, FAMILIES.index(family)].median() < 1e-3


@pytest.mark.parametrize("run", [1, 10])
def test_a_step_along_an_axis_that_never_varies_is_seen(topics, random, run):
    """However little it is of the usual scatter: an encoder or a format that changed."""

    def draw(rows, step=0.0):
        x = topics(random, rows, run=run)
        x[:, -1] = step
        return x

    spec = Spec.fit(draw(3000), features=64, clusters=24, axes=8)
    buckets = torch.from_numpy(np.stack([_sketches(spec, draw) for _ in range(BUCKETS)], 1))
    calibration = Calibration(held_out(spec, buckets).reshape(-1, len(SCORERS)))
    reference = Reference.build(spec, buckets)
    quiet = calibration(reference.score(torch.from_numpy(_sketches(spec, draw))).p)
    assert (quiet.together < 0.001).double().mean() < 0.1
    moved = torch.from_numpy(_sketches(spec, lambda rows: draw(rows, step=0.01)))
    said = calibration(reference.score(moved).p)
    assert (said.together < 0.001).double().mean() > 0.9
    assert {SCORERS[i].name for i in said.leading[:, FAMILIES.index("mean")].tolist()} <= {
        "maxdir_adj",
        "white_adj",
    }


def test_merged_windows_keep_their_size(world):
    """Sums add over time: ten merged windows score against the same reference."""
    spec, buckets, draw = world
    reference = Reference.build(spec, torch.from_numpy(buckets))
    calibration = Calibration(held_out(spec, torch.from_numpy(buckets)).reshape(-1, len(SCORERS)))
    merged = sum(_sketches(spec, draw) for _ in range(10))
    assert (calibration(reference.score(torch.from_numpy(merged)).p).p < 0.001).double().mean() < 0.05


def test_a_reference_needs_buckets():
    spec = Spec.fit(np.random.default_rng(0).standard_normal((50, 8)), features=16, clusters=4, axes=4)
    with pytest.raises(ValueError, match="at least 4 buckets"):
        arrays.build(spec, np.ones((1, 3, spec.layout.width)))


def test_the_prior_alone_is_wider_than_theory():
    p = torch.full((1, len(SCORERS)), 1e-4, dtype=torch.float64)
    assert (Calibration()(p).p > 1e-4).all()


def test_calibration_is_monotone():
    random = np.random.default_rng(6)
    calibration = Calibration(torch.from_numpy(random.random((200, len(SCORERS)))))
    p = torch.logspace(-20, 0, 200, dtype=torch.float64)[:, None].expand(200, len(SCORERS))
    assert (calibration(p).p.diff(dim=0) >= -1e-12).all()
