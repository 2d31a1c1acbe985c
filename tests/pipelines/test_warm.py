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
from tests.operators.adapters.memory import START_MS, request


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


@pytest.mark.parametrize("engine", ["local", "beam"])
def test_a_warm_run_goes_on_where_history_ends(before: Config, tmp_path: Path, engine: str) -> None:
    """It knows the series of the past beside those that come."""
    config = resolve(
        input=str(tmp_path / "new"), clickhouse=before.clickhouse, engine=engine, correlate_s=1e9
    )
    folder = tmp_path / "new" / "telemetry.requests.v1"
    folder.mkdir(parents=True)
    lines = [request(START_MS + second * 1000) for second in range(300)]
    (folder / "part.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    cold = start(Job(config, until_end=True))
    warm_up = start(Job(config, until_end=True, warm_start="30d"))
    assert cold.series < warm_up.series


def test_a_deployment_may_always_ask_for_a_warm_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its first run finds a store without history, and says so."""
    config = resolve(clickhouse=f"chdb:{tmp_path / 'db'}")
    assert not any(shard.evaluation.bank.keys for shard in warm.shards(config, "7d"))
    assert "7d holds no window of 60 s yet" in caplog.text
    with pytest.raises(UsageError, match="holds no window"):
        warm.shards(config, str(tmp_path))  # a folder that is named is meant to hold some


@pytest.mark.parametrize("source", ["nowhere", "7 weeks", "-1d"])
def test_a_bad_source_is_wrong_use(before: Config, source: str) -> None:
    with pytest.raises(UsageError, match="--warm-start"):
        warm.shards(before, source)


def test_dataflow_takes_no_job_that_large() -> None:
    places = {"input": "kafka://127.0.0.1:1", "clickhouse": "http://127.0.0.1:1/d"}
    config = resolve(**places, engine="beam", runner="dataflow")
    with pytest.raises(UsageError, match=r"--warm-start: .* Dataflow"):
        start(Job(config, warm_start="7d"))
