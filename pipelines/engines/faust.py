"""The Faust engine: workers of one group that share Kafka's partitions and the shards.

``driftline run --engine faust`` runs one worker until the input's end or a stop; ``faust -A
pipelines.faust_app worker`` runs it as Faust's command does. Faust gives the worker's life, its web server
and its command line; the two stages are services of it that take batches (`operators.adapters.faust`).
"""
# mypy: disallow-subclassing-any=False

import asyncio
import gc
from contextlib import ExitStack
from typing import Any

import faust
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faust.app import BootStrategy
from mode import Service

from operators.adapters.drive import series_of
from operators.adapters.faust.detecting import Detecting
from operators.adapters.faust.reading import Reading
from operators.adapters.faust.topics import create
from operators.adapters.figures import OUTPUTS
from operators.adapters.kafka.aio import settings as words
from operators.adapters.kafka.aio import started
from operators.adapters.kafka.heard import reason
from operators.adapters.source import SourceError
from operators.clickhouse import Store
from operators.dead_letters import DeadLetter
from pipelines import warm
from pipelines.config import Config
from pipelines.engines.correlator import Correlator
from pipelines.engines.job import Job, kafka_options
from pipelines.engines.outputs import Outputs, open_store
from pipelines.engines.report import Report, Stopwatch, make_report
from pipelines.observe import logs, observed
from schemas.rows import Count
from schemas.topics import INPUT_TOPICS

#: How often a run is looked at.
LOOK_S = 0.2


def run(job: Job) -> Report:
    """Run one worker until the input's end, or until ``job.stop`` is set.

    The report tells of the shards this worker kept, since the group began; the accounts are with shard 0.
    """
    gc.freeze()
    try:
        return asyncio.run(_run(job))
    finally:
        gc.unfreeze()


class Worker(Service):
    """One worker: topics, store, sinks, the two stages, and correlation where shard 0 is kept.

    Without a job it is its own: stopping it ends every wait, and it serves its meters as its config says.
    """

    def __init__(self, config: Config, job: Job | None = None, **service: Any) -> None:
        super().__init__(**service)
        self.config = config
        self.options = kafka_options(config, config.input or "")
        self._alone = job is None
        self._job = job or Job(config)
        self._until_end = self._job.until_end
        self._observed = ExitStack()
        self.begun = False

    async def on_start(self) -> None:
        """Make what the stages need, and start them."""
        stop, meters = self._job.stop, self._job.meters
        if self._alone:
            meters = self._observed.enter_context(observed(self.config.observe, stop))
        await self._create_topics()
        self.store: Store = await asyncio.to_thread(open_store, self.config)
        self.outputs = Outputs(self.config, self.store, stop, meters)
        settings = self.config.settings
        self.reading = Reading(
            self.options,
            self.config.kafka.topics or INPUT_TOPICS,
            settings,
            until_end=self._until_end,
            deliver=self._deliver,
            meters=meters,
            loop=self.loop,
            beacon=self.beacon,
        )
        learnt = await asyncio.to_thread(warm.snapshots, self.config, self._job.warm_start)
        self.detecting = Detecting(
            self.options, settings, self.outputs, learnt, meters, loop=self.loop, beacon=self.beacon
        )
        self.correlator = Correlator(
            self.store,
            self.outputs,
            self.config.correlate_s,
            here=lambda: 0 in self.detecting.shards,
            stop=stop,
            meters=meters,
        )
        self.correlator.__enter__()
        self.begun = True
        await self.add_runtime_dependency(self.detecting)
        await self.add_runtime_dependency(self.reading)

    async def on_stop(self) -> None:
        """Wait for no store that is away any longer."""
        if self._alone:
            self._job.stop.set()

    async def on_shutdown(self) -> None:
        """Let go of sinks and store; the stages have settled."""
        await asyncio.to_thread(self._observed.close)
        if not self.begun:
            return
        await asyncio.to_thread(self.correlator.__exit__, None, None, None)
        await asyncio.to_thread(self.outputs.close)
        self.store.close()

    @property
    def failure(self) -> BaseException | None:
        """What ended a stage."""
        return self.reading.failure or self.detecting.failure

    @property
    def finished(self) -> bool:
        """Whether all input is read, judged, delivered and saved, as far as this worker has it."""
        if not (self._until_end and self.reading.finished):
            return False
        timed = [name for name in self.reading.known if not name.startswith("changes.v1/")]
        return self.detecting.finished or not (timed and self.detecting.shards)

    def status(self) -> dict[str, Any]:
        """Which partitions and shards are here, and where they are."""
        return {
            "partitions": dict(sorted(self.reading.partitions.items())),
            "shards": {index: keeper.offset for index, keeper in sorted(self.detecting.shards.items())},
            "time_ms": self.reading.time_ms,
            "no_data_s": self.reading.no_data_s,
        }

    def _deliver(self, letters: list[DeadLetter]) -> None:
        self.outputs.write_dead_letters(letters)
        self.reading.persist(self.outputs.flush)

    async def _create_topics(self) -> None:
        try:
            how, patience_s = words(self.options), self.options.bootstrap_timeout_s
            admin = await started(lambda: AIOKafkaAdminClient(**how), patience_s)
            try:
                await create(admin, self.options.group, self.config.settings.shards)
            finally:
                await admin.close()
        except (KafkaError, OSError) as problem:
            raise SourceError(
                f"kafka://{self.options.servers} cannot be reached: {reason(problem)}"
            ) from None


class _Boot(BootStrategy):
    """Without Faust's own consumer, producer and tables: the stages have theirs, which take batches."""

    enable_kafka = False


class App(faust.App):
    """Faust's app around a `Worker`."""

    BootStrategy = _Boot

    async def on_first_start(self) -> None:
        """Nothing: Faust would make a data folder here, and all state is in Kafka."""

    async def on_start(self) -> None:
        """Nothing: Faust would look for its consumer here."""
        self.finalize()


def make_app(config: Config) -> App:
    """The app, with the worker that it starts."""
    worker = Worker(config)
    app = App(
        config.kafka.group,
        broker=f"kafka://{worker.options.servers}",
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        autodiscover=False,
        logging_config=logs.dict_config() if config.log_format == "json" else None,
    )
    logs.spare("aiokafka")
    app.service(worker)  # type: ignore[arg-type]  # takes instances, too

    @app.page("/driftline/")
    async def status(self: Any, request: Any) -> Any:
        if not worker.begun:
            return self.json({"status": "starting"}, status=503)
        return self.json(worker.status())

    return app


async def _run(job: Job) -> Report:
    watch = Stopwatch()
    watch.enter("open")
    worker = Worker(job.config, job)
    await worker.start()
    try:
        watch.enter("read")
        while not (worker.finished or job.stop.is_set() or worker.failure):
            job.progress(worker.reading.time_ms)
            await asyncio.sleep(LOOK_S)
        if worker.failure:
            raise worker.failure
        await worker.reading.stop()
        await worker.detecting.stop()
        watch.enter("correlate")
        if 0 in worker.detecting.shards:
            await asyncio.to_thread(worker.correlator.finish)
    finally:
        await worker.stop()
    watch.enter("")
    return _report(job, worker, watch)


def _report(job: Job, worker: Worker, watch: Stopwatch) -> Report:
    shards = worker.detecting.shards
    lines = [line for keeper in shards.values() for line in keeper.figures.lines()]
    lines.append(Count(OUTPUTS, "series", "", sum(series_of(keeper.shard) for keeper in shards.values())))
    return make_report(
        job,
        engine="faust",
        ending="stopped" if job.stop.is_set() else "done",
        lines=[line for line in lines if 0 in shards or line.topic == OUTPUTS],
        incidents=worker.correlator.incidents.values(),
        seconds=watch.seconds,
        no_data_s=worker.reading.no_data_s,
    )
