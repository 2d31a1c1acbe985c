"""The Beam engine: the pinned runner binds nothing, and pipelines for other runners can be constructed."""

import socket
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.runner import PipelineState

from operators.clickhouse import Store, StoreError
from pipelines.config import resolve
from pipelines.engines.beam import build, options, run
from pipelines.engines.job import Job
from pipelines.errors import UsageError
from pipelines.run import start
from tests.operators.adapters.memory import START_MS, request


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = tmp_path / "input" / "telemetry.requests.v1"
    folder.mkdir(parents=True)
    lines = [request(START_MS + second * 1000) for second in range(300)]
    (folder / "part.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    return tmp_path / "input"


def test_the_in_process_runner_binds_nothing(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"bound {address}")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr("grpc.server", refuse)
    config = resolve(input=str(small), clickhouse=f"chdb:{tmp_path / 'db'}", engine="beam")
    report = start(Job(config, until_end=True))
    assert report.accounts["telemetry.requests.v1"]["accepted"] == 300


def test_a_store_that_refuses_is_named_as_what_failed(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Store, table: str, *_: object) -> None:
        raise StoreError(f"insert into {table} refused: disk full")

    monkeypatch.setattr(Store, "insert", refuse)
    monkeypatch.setattr(Store, "migrate", lambda self: [])
    config = resolve(input=str(small), clickhouse=f"chdb:{tmp_path / 'db'}", engine="beam")
    with pytest.raises(StoreError, match="disk full"):
        start(Job(config, until_end=True))


def test_the_pipeline_is_the_same_for_every_runner(small: Path) -> None:
    config = resolve(
        input=str(small),
        clickhouse="http://127.0.0.1:8123/driftline",
        engine="beam",
        runner="flink",
        engine_options=("--parallelism=2", "--checkpointing_interval=3000"),
    )
    chosen = options(config)
    assert chosen.get_all_options()["parallelism"] == 2
    pipeline = beam.Pipeline(runner="FnApiRunner", options=beam.options.pipeline_options.PipelineOptions([]))
    build(pipeline, config, "job", until_end=True, readers=2)
    stages = {
        step.full_label
        for step in pipeline.to_runner_api(return_context=True) and pipeline._current_transform().parts
    }
    assert {"Read", "TakeApart", "Shard", "Write", "WriteDeadLetters"} <= stages


def test_the_pipeline_passes_the_checks_of_dataflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "apache_beam.runners.portability.stager.Stager.create_job_resources", lambda *_, **__: []
    )
    given = (
        "--project=project",
        "--region=europe-west1",
        "--temp_location=gs://bucket/tmp",
        "--sdk_location=container",
        "--sdk_container_image=registry.example/driftline:1",
        "--no_auth",
        "--dry_run=True",
    )
    config = resolve(
        input="kafka://127.0.0.1:9092",
        clickhouse="http://127.0.0.1:8123/driftline",
        engine="beam",
        runner="dataflow",
        engine_options=given,
    )
    pipeline = beam.Pipeline(options=options(config))
    build(pipeline, config, "job", until_end=False)
    assert pipeline.run().state == PipelineState.DONE


@pytest.mark.parametrize("field", ["input", "output"])
def test_a_cluster_reads_and_writes_no_folder(field: str, small: Path) -> None:
    places = {"input": "kafka://127.0.0.1:9092", "output": "kafka://127.0.0.1:9092"} | {field: str(small)}
    config = resolve(**places, clickhouse="http://127.0.0.1:8123/driftline", engine="beam", runner="flink")
    with pytest.raises(UsageError, match=f"{field}: .* is a folder, which the workers of flink do not share"):
        start(Job(config))


def test_flink_is_asked_for_by_its_address() -> None:
    config = resolve(
        input="kafka://127.0.0.1:9092",
        clickhouse="http://127.0.0.1:8123/driftline",
        engine="beam",
        runner="flink",
    )
    with pytest.raises(UsageError, match=r"give --flink_master=HOST:PORT after --"):
        run(Job(config))
