"""The Beam engine: one pipeline, on the in-process FnApiRunner, Flink or Dataflow.

::

    source ── parcels ──> take apart ── (shard, packet) ──> shard (keyed state) ── handouts ──> write
                             └── dead letters ──> write

Here is the pipeline, and the run that has all of it in this process; `pipelines.engines.cluster` submits it.
"""
# mypy: allow-untyped-calls

import gc
import logging
import uuid
from collections.abc import Mapping
from functools import partial

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from operators.adapters.acknowledge import Acknowledgements
from operators.adapters.beam.meters import BeamMeters, Both
from operators.adapters.beam.process import Inlet, Process, forget, process
from operators.adapters.beam.shards import ShardDoFn
from operators.adapters.beam.sinks import DEAD_LETTERS, TakeApart, WriteDeadLetters, WriteEmissions
from operators.adapters.beam.source import Read, TelemetrySource
from operators.adapters.figures import accounts
from operators.adapters.source import Source
from operators.clickhouse import Store
from operators.meters import Meters
from pipelines import warm
from pipelines.config import Config
from pipelines.engines.correlator import Correlator
from pipelines.engines.job import Job, open_source
from pipelines.engines.outputs import Outputs, open_store
from pipelines.engines.report import Report, Stopwatch, make_report

#: Polls of one bundle, and its longest time: a checkpoint waits for a bundle, sinks are flushed after each.
BUNDLE_POLLS = 20
BUNDLE_S = 1.0
#: After a poll that gave nothing; polls wait by themselves, except where no partition may be read on.
POLL_INTERVAL_S = 0.02

#: Options of each runner that are driftline's to decide; those given after ``--`` come later and win.
RUNNER_OPTIONS: dict[str, tuple[str, ...]] = {
    "fnapi": (),
    "flink": (
        "--runner=FlinkRunner",
        "--streaming",
        # without it a job may checkpoint on and read nothing
        "--finish_bundle_before_checkpointing",
        # offsets are committed by checkpoints alone
        "--checkpointing_interval=10000",
        # which runs pip, for a list that nobody reads
        "--experiments=disable_logging_submission_environment",
    ),
    "dataflow": ("--runner=DataflowRunner", "--streaming"),
}


def run(job: Job) -> Report:
    """Run until every reader is done: at the input's end, or when ``job.stop`` is set."""
    config = job.config
    if config.runner != "fnapi":
        from pipelines.engines import cluster

        return cluster.run(job)
    job_id = uuid.uuid4().hex
    here = process(job_id)
    here.stop, here.progress = job.stop, job.progress
    here.acknowledgements = Acknowledgements(config.settings.shards)
    here.meters = Both(BeamMeters(), job.meters)
    watch = Stopwatch()
    watch.enter("open")
    try:
        with open_store(config) as store:
            outputs = here.outputs = Outputs(config, store, job.stop, here.meters)
            try:
                correlator = Correlator(store, outputs, config.correlate_s, stop=job.stop, meters=job.meters)
                learnt = warm.snapshots(config, job.warm_start)
                with correlator:
                    watch.enter("read")
                    _execute(job, job_id, here, learnt)
                    watch.enter("correlate")
                    correlator.finish()
                    lines = [line for live in here.shards.values() for line in live.totals.lines()]
                    outputs.write_accounts(job_id, 1, accounts(lines))
                    outputs.flush()
                _commit(job, here.acknowledgements)
            finally:
                outputs.close()
        watch.enter("")
        return make_report(
            job,
            engine=f"beam on {config.runner}",
            ending="stopped" if job.stop.is_set() else "done",
            lines=lines,
            incidents=correlator.incidents.values(),
            seconds=watch.seconds,
            no_data_s=here.no_data_s,
        )
    finally:
        forget(job_id)


def build(
    pipeline: beam.Pipeline,
    config: Config,
    job_id: str,
    *,
    until_end: bool,
    readers: int = 1,
    learnt: Mapping[int, bytes] | None = None,
) -> None:
    """Put driftline's transforms into a pipeline; ``learnt``: snapshots that shards begin with, by index."""
    source = TelemetrySource(job_id, readers=readers)
    inlet = Inlet(partial(_open_source, config, until_end), config.settings, until_end)
    open_outputs = partial(_open_outputs, config)
    read = Read(polls=BUNDLE_POLLS, seconds=BUNDLE_S, poll_s=POLL_INTERVAL_S)
    apart = (
        pipeline
        | "Source" >> beam.Create([source])
        | "Read" >> beam.ParDo(read).with_output_types(bytes)
        | "TakeApart"
        >> beam.ParDo(TakeApart(inlet, job_id))
        .with_output_types(tuple[int, bytes])
        .with_outputs(DEAD_LETTERS, main="messages")
    )
    _ = (
        apart.messages
        | "Shard" >> beam.ParDo(ShardDoFn(config.settings, job_id, learnt or {})).with_output_types(bytes)
        | "Write" >> beam.ParDo(WriteEmissions(open_outputs, job_id))
    )
    _ = apart[DEAD_LETTERS] | "WriteDeadLetters" >> beam.ParDo(WriteDeadLetters(open_outputs, job_id))


def options(config: Config) -> PipelineOptions:
    """Beam's options for the chosen runner and what was given after ``--``."""
    # options it leaves to the job server it calls unparseable
    logging.getLogger("apache_beam.options.pipeline_options").setLevel(logging.ERROR)
    return PipelineOptions([*RUNNER_OPTIONS[config.runner], *config.engine_options])


def _execute(job: Job, job_id: str, here: Process, learnt: Mapping[int, bytes]) -> None:
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=options(job.config))
    build(pipeline, job.config, job_id, until_end=job.until_end, learnt=learnt)
    gc.freeze()
    try:
        pipeline.run().wait_until_finish()
    except Exception:
        if here.failure is not None:
            raise here.failure from None
        raise
    finally:
        gc.unfreeze()


def _commit(job: Job, acknowledgements: Acknowledgements) -> None:
    """Commit what is done with once more, now that everything is flushed."""
    if not job.stop.is_set():
        acknowledgements.finished()
    source = open_source(job)
    try:
        source.partitions()
        source.commit(acknowledgements.positions())
    finally:
        source.close()


def _open_source(config: Config, until_end: bool, part: tuple[int, int]) -> Source:
    return open_source(Job(config, until_end=until_end), part)


def _open_outputs(config: Config, meters: Meters) -> Outputs:
    return Outputs(config, Store.open(config.clickhouse), meters=meters)
