"""The backtest of a file of vectors: what it writes, what it refuses, its size and its power."""

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from pipelines.backtest_embeddings import COLUMNS, backtest_embeddings
from pipelines.errors import UsageError

DIM = 48


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    import torch

    torch.set_num_threads(1)


def _vectors(seed, rows, *, run=1, new=0.0, dim=DIM):
    """Unit vectors of 10 topics that stay for about ``run`` rows; a share of a new topic."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((11, dim))
    lengths = random.geometric(1 / run, size=rows)
    topic = np.repeat(random.integers(10, size=rows), lengths)[:rows]
    topic[random.random(rows) < new] = 10
    x = random.standard_normal((rows, dim)) * np.linspace(1.6, 0.3, dim) + centres[topic]
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture
def run(tmp_path):
    def go(vectors, **options):
        path = tmp_path / "vectors.npy"
        np.save(path, vectors)
        options = {"reference_rows": 2000, "window": 250} | options
        out = tmp_path / "scores.csv"
        report = backtest_embeddings(path, scores=out, console=Console(file=io.StringIO()), **options)
        with out.open(newline="") as file:
            return report, list(csv.DictReader(file))

    return go


@pytest.mark.parametrize("length", [1, 20])
def test_quiet_windows_stay_quiet_and_a_new_topic_is_found(run, length):
    quiet = _vectors(2, 2000 + 40 * 250, run=length)
    report, rows = run(np.concatenate([quiet, _vectors(3, 10 * 250, run=length, new=0.2)]))
    p = np.array([float(row["p_value"]) for row in rows])
    assert report["windows"] == len(p) == 50
    assert (p[:40] < 0.05).sum() <= 6
    assert (p[:40] < 0.001).sum() == 0
    assert (p[40:] < 0.01).mean() > 0.8
    assert report["run_length"] == pytest.approx(length, rel=0.5)


def test_windows_tumble_behind_the_reference_and_a_shorter_last_is_left_out(run):
    _, rows = run(_vectors(4, 2000 + 3 * 250 + 100))
    assert list(rows[0]) == list(COLUMNS)
    spans = [(int(row["window_start_row"]), int(row["window_end_row"])) for row in rows]
    assert spans == [(2000, 2250), (2250, 2500), (2500, 2750)]


def test_higher_scores_are_more_anomalous_and_alarms_keep_the_budget(run):
    vectors = np.concatenate([_vectors(5, 3000), _vectors(6, 1000, new=0.3)])
    _, rows = run(vectors, alarm_budget=200)
    order = sorted(rows, key=lambda row: float(row["score"]))
    p = [float(row["p_value"]) for row in order]
    assert p == sorted(p, reverse=True)
    assert all((float(row["p_value"]) <= 1 / 200) == (row["alarm"] == "1") for row in rows)
    assert any(row["alarm"] == "1" for row in rows)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_number_types_and_lengths_of_vectors_do_not_matter(run, dtype):
    vectors = _vectors(7, 2750)
    _, unit = run(vectors)
    _, scaled = run((vectors * 40).astype(dtype))
    for one, other in zip(unit, scaled, strict=True):
        assert float(one["p_value"]) == pytest.approx(float(other["p_value"]), abs=0.25)


def test_vectors_wider_than_the_projection(run):
    report, _ = run(_vectors(8, 900, dim=700), reference_rows=500, window=100)
    assert report["windows"] == 4


def test_a_tiny_reference_claims_little(run):
    report, rows = run(_vectors(9, 200), reference_rows=64, window=20)
    assert report["windows"] == 6
    assert report["calibration"] == "prior"
    assert report["smallest_p"] > 1e-3
    assert min(float(row["p_value"]) for row in rows) >= 0.999 * report["smallest_p"]


def test_a_row_with_nan_is_named(run):
    vectors = _vectors(10, 2500)
    vectors[2100, 3] = np.nan
    with pytest.raises(UsageError, match="row 2100"):
        run(vectors)


@pytest.mark.parametrize(
    ("vectors", "options", "message"),
    [
        (np.zeros(10), {}, "shape"),
        (np.zeros((3000, 4), np.int64), {}, "int64"),
        (np.ones((3000, 4)), {}, "differ"),
        (np.zeros((2100, 4)), {}, "at least 2250"),
        (np.zeros((3000, 4)), {"reference_rows": 10}, "--reference-rows 10"),
        (np.zeros((3000, 4)), {"window": 0}, "--window 0"),
        (np.zeros((3000, 4)), {"alarm_budget": 0.5}, "--alarm-budget"),
    ],
)
def test_wrong_use_says_what_would_be_right(run, vectors, options, message):
    with pytest.raises(UsageError, match=message):
        run(vectors, **options)


def test_a_file_that_is_no_array_is_refused(tmp_path):
    path = tmp_path / "vectors.npy"
    path.write_text("no array")
    with pytest.raises(UsageError, match="not a readable"):
        backtest_embeddings(path, reference_rows=64, window=8, scores=tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["time", *["2026-01-05T00:00Z"] * 899], "899 times for 900"),
        (["time", *["2026-01-05T00:00Z"] * 899, "yesterday"], "line 901"),
        (["time", *["2026-01-05T00:00Z"] * 899, "2026-01-04T00:00Z"], "earlier"),
        (["time", *map(str, range(900))], None),
    ],
)
def test_times_must_be_one_a_row_and_in_order(run, tmp_path, lines, message):
    times = tmp_path / "times.csv"
    times.write_text("\n".join(lines) + "\n")
    options = {"reference_rows": 500, "window": 200, "times": times}
    if message is None:
        assert run(_vectors(11, 900), **options)[0]["windows"] == 2
    else:
        with pytest.raises(UsageError, match=message):
            run(_vectors(11, 900), **options)
