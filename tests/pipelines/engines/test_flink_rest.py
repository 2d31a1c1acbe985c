"""Flink's REST interface as driftline asks it, and what becomes of a run that cannot ask it."""

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from pipelines.config import resolve
from pipelines.engines import beam, cluster
from pipelines.engines.flink import Flink, FlinkAway
from pipelines.engines.job import Job
from pipelines.errors import EngineError

CHECKPOINT = "file:/checkpoints/chk-7"


class JobManager(ThreadingHTTPServer):
    """Has one job that runs, and takes no savepoint of it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[str] = []
        self.deletes = False
        self.state = "RUNNING"
        self.deployed = ["SCHEDULED", "SCHEDULED", "RUNNING"]
        self.busy: list[str] = []
        self.savepoint: Any = {"failure-cause": {"stack-trace": "disk full\n\tat somewhere"}}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def answer(self, question: str) -> Any:
        self.asked.append(question)
        vertex = self.deployed.pop(0) if len(self.deployed) > 1 else self.deployed[0]
        if "mode=cancel" in question:
            self.state = "CANCELED"
        return {
            "GET /jobs/overview": {"jobs": [{"name": "job", "jid": "1", "start-time": 1}]},
            "GET /jobs/1": {"state": self.state, "vertices": [{"status": vertex}]},
            "POST /jobs/1/savepoints": {"request-id": "2"},
            "GET /jobs/1/savepoints/2": {
                "status": {"id": "COMPLETED"},
                "operation": self.savepoint,
            },
            "GET /jobs/1/checkpoints/config": {"externalization": {"delete_on_cancellation": self.deletes}},
            "GET /jobs/1/checkpoints": {"latest": {"completed": {"external_path": CHECKPOINT}}},
        }.get(question, {})


class Answers(BaseHTTPRequestHandler):
    server: JobManager

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        question = f"{self.command} {self.path}"
        busy = question in self.server.busy
        if busy:
            self.server.busy.remove(question)
        body = json.dumps({} if busy else self.server.answer(question)).encode()
        self.send_response(503 if busy else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = _answer

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def manager() -> Iterator[JobManager]:
    with JobManager() as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that is bound, and where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def job(*options: str) -> Job:
    return Job(
        resolve(
            input="kafka://127.0.0.1:9092",
            clickhouse="http://127.0.0.1:8123/driftline",
            engine="beam",
            runner="flink",
            engine_options=options,
        )
    )


def test_a_cluster_out_of_reach_is_told_from_one_that_refuses(nobody: str) -> None:
    with pytest.raises(FlinkAway, match=f"{nobody} cannot be asked"):
        Flink(nobody).state("0")


@pytest.mark.parametrize(
    ("deletes", "said"),
    [
        (False, f"its last checkpoint stays, to go on with --savepoint_path={CHECKPOINT}$"),
        (True, "no checkpoint of it stays"),
    ],
)
def test_a_stop_without_a_savepoint_is_an_error_that_says_what_is_left(
    manager: JobManager, deletes: bool, said: str
) -> None:
    manager.deletes = deletes
    asked, store, submitted = job(), None, None
    asked.stop.set()
    watched = cluster._Watched(asked, store, submitted, Flink(manager.address), "run", "job")  # type: ignore[arg-type]
    with pytest.raises(
        EngineError, match=f"no savepoint of job 1: disk full; the job is cancelled, and {said}"
    ):
        watched.until_it_ends()
    assert "PATCH /jobs/1?mode=cancel" in manager.asked


def test_a_jobmanager_that_misses_a_question_is_asked_again(manager: JobManager) -> None:
    manager.savepoint = {"location": CHECKPOINT}
    manager.busy = ["GET /jobs/1", "GET /jobs/1/savepoints/2", "GET /jobs/1/savepoints/2"]
    assert Flink(manager.address).savepoint("1") == CHECKPOINT
    manager.busy = ["GET /jobs/1"]
    Flink(manager.address).cancel("1")
    assert not manager.busy


def test_a_jobmanager_that_stays_busy_is_told(manager: JobManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.engines.flink._SILENT_S", 0.0)
    manager.busy = ["GET /jobs/1"] * 3
    with pytest.raises(FlinkAway, match="503"):
        Flink(manager.address).savepoint("1")


def test_a_job_server_that_is_not_there_is_said_at_once(nobody: str) -> None:
    asked = job(f"--job_endpoint={nobody}", "--flink_master=127.0.0.1:9", "--environment_type=EXTERNAL")
    with pytest.raises(EngineError, match=rf"no job server answers at {nobody} \(--job_endpoint\)"):
        cluster.submit(asked, beam.options(asked.config), "run", {})


def test_what_a_job_server_refuses_is_said_in_its_words() -> None:
    """Something else listens there, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as wrong:
        address = f"127.0.0.1:{wrong.getsockname()[1]}"
        asked = job(
            f"--job_endpoint={address}",
            f"--artifact_endpoint={address}",
            "--flink_master=127.0.0.1:9",
            "--environment_type=EXTERNAL",
            "--environment_config=127.0.0.1:9",
            "--job_server_timeout=1",
        )
        with pytest.raises(EngineError, match=r"the job was not taken: \w+"):
            cluster.submit(asked, beam.options(asked.config), "run", {})
