"""A warm start: history from the store and from a recording teach the same, and nobody is told of it."""

from pathlib import Path

import numpy as np
import pytest

from pipelines import warm
from pipelines.config import Config, resolve
from pipelines.engines.job import Job
from pipelines.errors import UsageError
from pipelines.run import start
from tests.contract import recording


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A run that is over, and the store it wrote to."""
    place = tmp_path_factory.mktemp("before")
    recording.write(place / "recorded")
    config = resolve(
        input=str(place / "recorded"), clickhouse=f"chdb:{place / 'db'}", engine="local", correlate_s=1e9
    )
    start(Job(config, until_end=True))
    return config


def test_the_store_teaches_what_the_recording_does(before: Config) -> None:
    stored = warm.shards(before, "30d")
    recorded = warm.shards(before, before.input or "")
    assert sum(len(shard.evaluation.bank.keys) for shard in stored) > 0
    for one, two in zip(stored, recorded, strict=True):
        assert one.evaluation.bank.keys == two.evaluation.bank.keys
        left, right = one.evaluation.bank.arrays(), two.evaluation.bank.arrays()
        for name in ("n", "level", "var", "hits", "trials"):
            np.testing.assert_array_equal(left[name], right[name], err_msg=name)
        assert not one.evaluation.lifecycle.episodes
        assert one.closed_to is None


def test_a_warm_run_goes_on_where_history_ends(before: Config, tmp_path: Path) -> None:
    config = resolve(
        input=before.input, clickhouse=f"chdb:{tmp_path / 'db'}", engine="local", correlate_s=1e9
    )
    report = start(Job(config, until_end=True, warm_start=before.input))
    assert report.series == sum(len(s.evaluation.bank.keys) for s in warm.shards(before, before.input or ""))


@pytest.mark.parametrize("source", ["nowhere", "7 weeks", "-1d"])
def test_a_bad_source_is_wrong_use(before: Config, source: str) -> None:
    with pytest.raises(UsageError, match="--warm-start"):
        warm.shards(before, source)


def test_an_empty_history_is_wrong_use(tmp_path: Path) -> None:
    config = resolve(input=str(tmp_path), clickhouse=f"chdb:{tmp_path / 'db'}", engine="local")
    with pytest.raises(UsageError, match="no window"):
        warm.shards(config, "7d")
    with pytest.raises(UsageError, match="no window"):
        warm.shards(config, str(tmp_path))


def test_other_engines_say_that_they_cannot(before: Config, tmp_path: Path) -> None:
    config = resolve(input=str(tmp_path), clickhouse=before.clickhouse, engine="beam")
    with pytest.raises(UsageError, match="--engine local"):
        start(Job(config, warm_start="7d"))
