"""A Beam job on a cluster: submitted from here, watched and correlated beside, and ended from here.

Nothing of the job is in this process. What it has counted it writes as rows of ``ingest_accounts``, and those
are what the report is made of: they follow from the job's state, so a restart counts nothing twice.
"""
# mypy: allow-untyped-calls

import logging
import socket
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, PortableOptions
from apache_beam.runners.runner import PipelineState

from operators.adapters.beam.totals import FINISHED
from operators.adapters.figures import OUTPUTS
from operators.clickhouse import Store
from operators.meters import UNMETERED
from operators.store_errors import SinkError, StoreError
from pipelines import warm
from pipelines.engines import beam as engine
from pipelines.engines.correlator import Correlator
from pipelines.engines.counted import Counted
from pipelines.engines.flink import ENDED, Flink, FlinkAway
from pipelines.engines.job import Job
from pipelines.engines.outputs import Outputs, open_store
from pipelines.engines.report import Ending, Report, Stopwatch, make_report
from pipelines.errors import EngineError, UsageError
from schemas.rows import Count

LOOK_EVERY_S = 1.0
#: How long the job may take from submission until the cluster has it.
APPEARS_S = 180.0
REACH_S = 10.0
#: How long the last two checkpoints may take.
FLUSH_S = 300.0
#: How often the job's totals are read for the meters.
TELL_EVERY_S = 10.0

_TOTALS = """
SELECT topic, outcome, reason, toInt64(argMax(samples, revision)) AS samples
FROM ingest_accounts
WHERE run_id = {run:String} OR startsWith(run_id, {shards:String})
GROUP BY run_id, topic, outcome, reason
"""

log = logging.getLogger(__name__)


def run(job: Job) -> Report:
    """Submit, watch until the end or ``job.stop``, report."""
    config = job.config
    run_id = uuid.uuid4().hex
    chosen = engine.options(config)
    cloud = chosen.view_as(GoogleCloudOptions)
    cloud.job_name = cloud.job_name or f"driftline-{run_id[:12]}"
    flink = Flink(_rest(chosen)) if config.runner == "flink" else None
    watch = Stopwatch()
    watch.enter("open")
    with open_store(config) as store:
        outputs = Outputs(config, store, job.stop, job.meters)
        try:
            correlator = Correlator(store, outputs, config.correlate_s, stop=job.stop, meters=job.meters)
            learnt = warm.snapshots(config, job.warm_start)
            with correlator:
                watch.enter("submit")
                submitted = submit(job, chosen, run_id, learnt)
                watched = _Watched(job, store, submitted, flink, run_id, cloud.job_name)
                watch.enter("read")
                ending, savepoint = watched.until_it_ends()
                watch.enter("correlate")
                try:
                    correlator.finish()
                except (StoreError, SinkError):
                    if savepoint:
                        log.warning("the job was stopped with the savepoint %s", savepoint)
                    raise
            lines = totals(store, run_id)
        finally:
            outputs.close()
    watch.enter("")
    return make_report(
        job,
        engine=f"beam on {config.runner}",
        ending=ending,
        lines=lines,
        incidents=correlator.incidents.values(),
        seconds=watch.seconds,
        no_data_s=0.0,
        savepoint=savepoint,
    )


def submit(job: Job, chosen: PipelineOptions, run_id: str, learnt: Mapping[int, bytes]) -> Any:
    """Build the pipeline and hand it to the runner that the options name."""
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    _reach(chosen)
    try:
        pipeline = beam.Pipeline(options=chosen)
        engine.build(
            pipeline, job.config, run_id, until_end=job.until_end, readers=readers(chosen), learnt=learnt
        )
        return pipeline.run()
    except (RuntimeError, ValueError, OSError, grpc.RpcError, grpc.FutureTimeoutError) as problem:
        said = problem.details() if isinstance(problem, grpc.Call) else str(problem)
        raise EngineError(f"the job was not taken: {said or type(problem).__name__}") from problem


def _reach(chosen: PipelineOptions) -> None:
    """Beam waits five minutes for a job server that is not there, and does not say for whom."""
    host, _, port = str(chosen.view_as(PortableOptions).job_endpoint or "").rpartition(":")
    if not port.isdigit():
        return  # none is given, or one that Beam starts itself
    try:
        socket.create_connection((host, int(port)), REACH_S).close()
    except OSError as problem:
        raise EngineError(f"no job server answers at {host}:{port} (--job_endpoint): {problem}") from None


def readers(chosen: PipelineOptions) -> int:
    """As many as the job's parallelism; where the runner decides that, one."""
    found = chosen.get_all_options().get("parallelism")
    return max(1, int(found)) if found else 1


def totals(store: Store, run_id: str) -> list[Count]:
    """What all shards of a run have written of their totals."""
    rows = store.query(_TOTALS, {"run": run_id, "shards": f"{run_id}/"}).to_pylist()
    return [Count(row["topic"], row["outcome"], row["reason"], row["samples"]) for row in rows]


def _rest(chosen: PipelineOptions) -> str:
    address = str(chosen.get_all_options()["flink_master"])
    if address.startswith("["):
        raise UsageError("give --flink_master=HOST:PORT after --: the REST interface of Flink's JobManager")
    return address


class _Watched:
    """The job as Flink has it, or, on another runner, as Beam tells it."""

    def __init__(
        self, job: Job, store: Store, submitted: Any, flink: Flink | None, run_id: str, name: str
    ) -> None:
        self._job = job
        self._store = store
        self._submitted = submitted
        self._run_id = run_id
        self._name = name
        self._flink = flink
        self._id = ""
        self._counted = Counted(job.meters, job.config.settings.windows.idle_s)
        self._told_s = float("-inf")

    def until_it_ends(self) -> tuple[Ending, str]:
        """How it ended, and the savepoint it was stopped with."""
        if self._flink is None:
            return self._elsewhere(), ""
        self._appear(self._flink)
        while not self._job.stop.wait(LOOK_EVERY_S):
            try:
                state = self._flink.state(self._id)
                self._tell(running=state == "RUNNING")
                if state == "FAILED":
                    raise EngineError(f"job {self._name} failed: {self._flink.failure(self._id)}")
                if state in ENDED:
                    return "stopped", ""
                if self._job.until_end and self._finished():
                    self._flush(self._flink)
                    self._flink.cancel(self._id)
                    return "done", ""
            except (StoreError, FlinkAway) as problem:
                log.warning("%s", problem)
        return "stopped", self._stop(self._flink)

    def _elsewhere(self) -> Ending:
        """As Beam tells it: Dataflow ends a job by itself once its input is read."""
        while not self._job.stop.wait(LOOK_EVERY_S):
            state = self._submitted.state
            try:
                self._tell(running=state == PipelineState.RUNNING)
            except StoreError as problem:
                log.warning("%s", problem)
            if state == PipelineState.FAILED:
                raise EngineError(f"job {self._name} failed; see its log on {self._job.config.runner}")
            if PipelineState.is_terminal(state):
                return "done" if state == PipelineState.DONE else "stopped"
        self._submitted.cancel()
        return "stopped"

    def _tell(self, *, running: bool) -> None:
        """Meters, where someone wants them."""
        if self._job.meters is UNMETERED:
            return
        self._counted.running(running=running)
        now = time.monotonic()
        if now - self._told_s >= TELL_EVERY_S:
            self._told_s = now
            self._counted.tell(totals(self._store, self._run_id), now)

    def _appear(self, flink: Flink) -> None:
        until = time.monotonic() + APPEARS_S
        while True:
            with suppress(FlinkAway):
                if found := flink.find(self._name):
                    self._id = found
                    return
            if self._submitted.state == PipelineState.FAILED or time.monotonic() > until:
                raise EngineError(f"job {self._name} did not come to the cluster; see the job server's log")
            time.sleep(0.3)

    def _finished(self) -> bool:
        """Whether every shard has come to the input's end and what it handed out is in the sinks."""
        ended = sum(
            line.samples for line in totals(self._store, self._run_id) if line[:2] == (OUTPUTS, FINISHED)
        )
        return ended >= self._job.config.settings.shards

    def _flush(self, flink: Flink) -> None:
        """Wait for two more checkpoints: the first flushes the last dead letters, and offsets follow it."""
        wanted = flink.checkpoints(self._id) + 2
        until = time.monotonic() + FLUSH_S
        while flink.checkpoints(self._id) < wanted and time.monotonic() < until:
            time.sleep(0.2)
        if flink.checkpoints(self._id) < wanted:
            log.warning(
                "no checkpoint in %.0f s: the next run may read again, and refuse again, what this one did",
                FLUSH_S,
            )

    def _stop(self, flink: Flink) -> str:
        """The savepoint; where none can be taken the job is ended all the same, and that is an error."""
        try:
            return flink.savepoint(self._id)
        except FlinkAway as problem:
            raise EngineError(f"{problem}; job {self._id} may run on there") from None
        except EngineError as problem:
            kept = flink.kept(self._id)
            flink.cancel(self._id)
            how = (
                f"its last checkpoint stays, to go on with --savepoint_path={kept}"
                if kept
                else "no checkpoint of it stays: the next run begins at the committed offsets"
            )
            raise EngineError(f"{problem}; the job is cancelled, and {how}") from None
