"""The Beam engine: one pipeline, on the in-process FnApiRunner, Flink or Dataflow.

::

    source ── parcels ──> take apart ── (shard, messages) ──> shard (keyed state) ── emissions ──> write
                             └── dead letters ──> write
"""
# mypy: allow-untyped-calls

import gc
import logging
import uuid
from functools import partial
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.io.unbounded_source import ReadFromUnboundedSource
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from operators.adapters.acknowledge import Acknowledgements
from operators.adapters.beam.process import Process, forget, process
from operators.adapters.beam.shards import ShardDoFn
from operators.adapters.beam.sinks import DEAD_LETTERS, NAMESPACE, TakeApart, WriteDeadLetters, WriteEmissions
from operators.adapters.beam.source import TelemetrySource
from operators.adapters.source import Source
from operators.clickhouse import Store
from pipelines.config import Config
from pipelines.engines.correlator import Correlator
from pipelines.engines.job import Job, open_source
from pipelines.engines.outputs import Outputs, open_store
from pipelines.engines.report import Report, Stopwatch, Tally, make_report
from schemas.rows import Count

#: Polls of one bundle, and its longest time: a checkpoint waits for a bundle, sinks are flushed after each.
BUNDLE_POLLS = 20
BUNDLE_S = 1.0

#: Options of each runner that are driftline's to decide; those given after ``--`` come later and win.
RUNNER_OPTIONS: dict[str, tuple[str, ...]] = {
    "fnapi": (),
    "flink": ("--runner=FlinkRunner", "--streaming", "--finish_bundle_before_checkpointing"),
    "dataflow": ("--runner=DataflowRunner", "--streaming"),
}


def run(job: Job) -> Report:
    """Run until every reader is done: at the input's end, or when ``job.stop`` is set."""
    config = job.config
    job_id = uuid.uuid4().hex
    here = process(job_id)
    here.stop, here.progress = job.stop, job.progress
    watch = Stopwatch()
    watch.enter("open")
    try:
        with open_store(config) as store:
            outputs = Outputs(config, store)
            try:
                if config.runner == "fnapi":
                    here.outputs = outputs
                    here.acknowledgements = Acknowledgements(config.settings.shards)
                with Correlator(store, outputs, config.correlate_s) as correlator:
                    watch.enter("read")
                    result = _execute(job, job_id, here)
                    watch.enter("correlate")
                    correlator.finish()
                    tally, counts, series = _figures(result)
                    outputs.write_accounts(job_id, 1, counts)
                    outputs.flush()
                if config.runner == "fnapi":
                    _commit(job, here)
            finally:
                outputs.close()
        watch.enter("")
        return make_report(
            job,
            engine=f"beam on {config.runner}",
            ending="stopped" if job.stop.is_set() else "done",
            counts=counts,
            tally=tally,
            series=series,
            incidents=correlator.incidents.values(),
            seconds=watch.seconds,
            no_data_s=here.no_data_s,
        )
    finally:
        forget(job_id)


def build(pipeline: beam.Pipeline, config: Config, job_id: str, *, until_end: bool, readers: int = 1) -> None:
    """Put driftline's transforms into a pipeline."""
    source = TelemetrySource(
        partial(_open_source, config, until_end),
        config.settings,
        job_id,
        until_end=until_end,
        readers=readers,
    )
    open_outputs = partial(_open_outputs, config)
    read = ReadFromUnboundedSource(
        source, poll_interval=0.0, max_records_per_bundle=BUNDLE_POLLS, max_read_time_seconds=BUNDLE_S
    )
    apart = (
        pipeline
        | "Read" >> read
        | "TakeApart"
        >> beam.ParDo(TakeApart())
        .with_output_types(tuple[int, bytes])
        .with_outputs(DEAD_LETTERS, main="messages")
    )
    _ = (
        apart.messages
        | "Shard" >> beam.ParDo(ShardDoFn(config.settings, job_id)).with_output_types(bytes)
        | "Write" >> beam.ParDo(WriteEmissions(open_outputs, job_id))
    )
    _ = apart[DEAD_LETTERS] | "WriteDeadLetters" >> beam.ParDo(WriteDeadLetters(open_outputs, job_id))


def options(config: Config) -> PipelineOptions:
    """Beam's options for the chosen runner and what was given after ``--``."""
    return PipelineOptions([*RUNNER_OPTIONS[config.runner], *config.engine_options])


def _execute(job: Job, job_id: str, here: Process) -> Any:
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    runner = FnApiRunner() if job.config.runner == "fnapi" else None
    pipeline = beam.Pipeline(runner=runner, options=options(job.config))
    build(pipeline, job.config, job_id, until_end=job.until_end)
    gc.freeze()
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except Exception:
        if here.failure is not None:
            raise here.failure from None
        raise
    finally:
        gc.unfreeze()
    return result


def _figures(result: Any) -> tuple[Tally, list[Count], int]:
    """What the metrics counted: outputs, samples by topic, outcome and reason, and series."""
    tally = Tally()
    series = 0
    samples: dict[tuple[str, str, str], int] = {}
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    for counter in found["counters"]:
        name, value = counter.key.metric.name, counter.result
        if name.startswith("["):
            topic, outcome, reason = msgspec.json.decode(name)
            samples[topic, outcome, reason] = samples.get((topic, outcome, reason), 0) + value
        elif name.startswith("events/"):
            tally.events[name.removeprefix("events/")] += value
        elif name.startswith("after_idle/"):
            tally.late[name.removeprefix("after_idle/")] += value
        elif name == "series":
            series += value
        else:
            setattr(tally, name, getattr(tally, name) + value)
    counts = tally.corrected([Count(*key, value) for key, value in samples.items()])
    return tally, counts, series


def _commit(job: Job, here: Process) -> None:
    """Commit what is done with once more, now that everything is flushed."""
    if here.acknowledgements is None:
        return
    if not job.stop.is_set():
        here.acknowledgements.finished()
    source = open_source(job)
    try:
        source.partitions()
        source.commit(here.acknowledgements.positions())
    finally:
        source.close()


def _open_source(config: Config, until_end: bool, part: tuple[int, int]) -> Source:
    return open_source(Job(config, until_end=until_end), part)


def _open_outputs(config: Config) -> Outputs:
    return Outputs(config, Store.open(config.clickhouse))
