"""Sentinel files: made, added to, read by the config, and refused where they do not fit."""

import json

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipelines.check import command as check
from pipelines.cli import app
from pipelines.config import ConfigError, load
from pipelines.errors import UsageError
from pipelines.sentinels import by_name, fit, read

DIM = 16


def _answers(rows, *, bad, seed=0, dim=DIM):
    random = np.random.default_rng([seed, bad])
    x = random.standard_normal((rows, dim)) * 0.3 + (1.0 if bad else -1.0)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def _table(x, version=None):
    columns = {"vector": pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])}
    if version is not None:
        columns["embedder_version"] = pa.array([version] * len(x)).dictionary_encode()
    return pa.table(columns)


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.npy"
    np.save(path, _answers(80, bad=True))
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "sentinels.npz"


def _fit(files, out, **options):
    return fit(files, out=out, **{"name": "refusals", "embedder_version": "e1"} | options)


def test_a_file_holds_centroids_and_names_alone(bad, out):
    report = _fit([bad], out, centroids=2)
    made = read(out)
    assert report["sentinels"] == ["refusals"]
    assert (made.embedder_version, made.side, made.dim, made.names) == ("e1", "output", DIM, ("refusals",))
    assert by_name(made)["refusals"].shape == (2, DIM)


def test_another_name_joins_and_the_same_one_is_made_anew(bad, out):
    _fit([bad], out)
    first = by_name(read(out))["refusals"]
    _fit([bad], out, name="errors", centroids=1)
    _fit([bad], out, centroids=1)
    both = by_name(read(out))
    assert [*both] == ["refusals", "errors"]
    assert len(first) == 4
    np.testing.assert_array_equal(both["refusals"], both["errors"])


def test_every_kind_of_file_gives_the_same(bad, out, tmp_path):
    table = _table(_answers(80, bad=True), "e1")
    pq.write_table(table, tmp_path / "bad.parquet")
    with pa.ipc.new_file(tmp_path / "file.arrow", table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(tmp_path / "stream.arrow", table.schema) as writer:
        writer.write_table(table)
    _fit([bad], out)
    want = read(out)
    for name in ("bad.parquet", "file.arrow", "stream.arrow"):
        other = tmp_path / f"{name}.npz"
        _fit([tmp_path / name], other)
        assert read(other) == want


def test_what_was_held_back_says_whether_it_tells(bad, out, tmp_path):
    ordinary, alike = tmp_path / "ordinary.npy", tmp_path / "alike.npy"
    np.save(ordinary, _answers(1000, bad=False))
    np.save(alike, _answers(1000, bad=True, seed=1))
    clear = _fit([bad], out, ordinary=[ordinary])
    assert clear["near"] > 0.9
    assert clear["ordinary_near"] < 0.01
    assert clear["tells"]
    assert not _fit([bad], out, ordinary=[alike])["tells"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("nan.npy", np.full((40, DIM), np.nan), "row 0 .* NaN"),
        ("few.npy", np.ones((3, DIM)), "at least 16 vectors"),
        ("none.npy", np.ones((0, DIM)), "some of them"),
        ("flat.npy", np.ones(40), r"\[rows, dimensions\]"),
        ("whole.npy", np.ones((40, DIM), np.int64), "floats"),
        ("text.npy", b"I cannot help with that.", "no .npy file"),
        ("text.txt", b"I cannot help with that.", "no .npy file"),
        ("empty.arrow", b"", "no .npy file"),
        ("text.parquet", b"I cannot help with that.", "no .npy file"),
        ("ragged.parquet", pa.table({"vector": [[1.0, 2.0], [1.0]]}), "differ in length"),
        ("other.parquet", pa.table({"embedding": [[1.0, 2.0]]}), "column vector"),
        ("version.parquet", _table(_answers(40, bad=True), "e2"), "are of e2, not e1"),
        ("missing.npy", None, "No such file"),
    ],
)
def test_files_of_no_vectors_are_refused(tmp_path, out, name, content, says):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, pa.Table):
        pq.write_table(content, path)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(UsageError, match=says) as problem:
        _fit([path], out)
    assert name in str(problem.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"embedder_version": "e2"}, "is for e1 with 16 dimensions .* of e2 with 16"),
        ({"side": "prompt"}, r"e1 with 16 dimensions \(outputs\).*\(prompts\)"),
        ({"name": "Refused answers"}, "--name"),
    ],
)
def test_what_does_not_fit_the_file_is_refused(bad, out, options, says):
    _fit([bad], out)
    before = out.read_bytes()
    with pytest.raises(UsageError, match=says):
        _fit([bad], out, **options)
    assert out.read_bytes() == before


def test_another_dimension_names_both(bad, out, tmp_path):
    wide = tmp_path / "wide.npy"
    np.save(wide, _answers(80, bad=True, dim=24))
    _fit([bad], out)
    with pytest.raises(UsageError, match=r"e1 with 16 dimensions .* of e1 with 24 dimensions"):
        _fit([wide], out)
    with pytest.raises(UsageError, match=r"wide.npy has vectors of 24 dimensions, .*bad.npy of 16"):
        _fit([bad, wide], out)


def _config(tmp_path, text):
    path = tmp_path / "driftline.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_config_names_the_file_and_holds_what_is_in_it(bad, out, tmp_path, capsys):
    _fit([bad], out)
    path = _config(tmp_path, f"embeddings:\n  sentinels: {out}\n")
    config = load(path)
    assert config.settings.embeddings.sentinels == (read(out),)
    assert load(_config(tmp_path, f"embeddings: {{sentinels: [{out}]}}\n")) == config
    before = config.settings.config_hash()
    _fit([bad], out, centroids=1)
    assert load(path).settings.config_hash() != before
    check(path, as_json=False)
    assert "# embeddings.sentinels: refusals (outputs of e1, 16 dimensions)" in capsys.readouterr().out
    assert msgspec.convert(msgspec.to_builtins(config.settings), type(config.settings)) == config.settings


@pytest.mark.parametrize("content", [None, b"", b"I cannot help with that.", "npz of something else"])
def test_a_config_refuses_what_is_no_sentinel_file(tmp_path, out, content):
    if isinstance(content, bytes):
        out.write_bytes(content)
    elif content:
        np.savez(out, x=np.zeros(3))
    with pytest.raises(ConfigError, match=r"driftline.yaml:2: embeddings.sentinels: .*sentinels.npz"):
        load(_config(tmp_path, f"embeddings:\n  sentinels: {out}\n"))


def test_a_config_refuses_two_files_for_the_same_vectors(bad, out, tmp_path):
    other = tmp_path / "other.npz"
    _fit([bad], out)
    _fit([bad], other, name="errors")
    with pytest.raises(ConfigError, match="one file for both is needed"):
        load(_config(tmp_path, f"embeddings: {{sentinels: [{out}, {other}]}}\n"))
    _fit([bad], other.with_name("e2.npz"), embedder_version="e2")
    named = f"embeddings: {{sentinels: [{out}, {other.with_name('e2.npz')}]}}\n"
    assert len(load(_config(tmp_path, named)).settings.embeddings.sentinels) == 2


def test_the_command_prints_what_it_made(bad, out):
    options = ["--name", "refusals", "--embedder-version", "e1", "--out", str(out), "--json"]
    told = CliRunner().invoke(app, ["sentinels", "fit", str(bad), *options])
    assert told.exit_code == 0
    assert json.loads(told.output)["vectors"] == 80
