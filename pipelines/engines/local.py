"""The in-process loop: the whole pipeline in one thread, for backtests, tests and small deployments.

What is delivered is decided here: sinks are flushed every few seconds, and only then do offsets (or, with a
state folder, a snapshot and then offsets) advance. A sink that refuses ends the run with nothing advanced.
Where a run can go on after a kill, rows are inserted window by window, so that what is read again adds none.
"""

import gc
import logging
import time
import uuid
from collections.abc import Iterator

from operators.adapters.accounting import lines
from operators.adapters.acknowledge import Acknowledgements
from operators.adapters.drive import done_to, drive, series_of
from operators.adapters.figures import OUTPUTS, Figures, accounts
from operators.adapters.metering import tell_emission, tell_shard
from operators.adapters.reader import Reader, Step
from operators.emission import by_window
from operators.intake import Accounts
from operators.meters import STATE_BYTES
from operators.shard import Shard
from pipelines import warm
from pipelines.config import kafka_servers
from pipelines.engines.correlator import Correlator
from pipelines.engines.job import Job, open_source
from pipelines.engines.outputs import Outputs, open_store
from pipelines.engines.report import Report, Stopwatch, make_report
from pipelines.engines.snapshot import Snapshots
from schemas.rows import Count

FLUSH_EVERY_S = 5.0
SNAPSHOT_EVERY_S = 30.0

log = logging.getLogger(__name__)


def run(job: Job) -> Report:
    """Run until the input's end, or until ``job.stop`` is set."""
    config = job.config
    watch = Stopwatch()
    watch.enter("open")
    with open_store(config) as store:
        outputs = Outputs(config, store, job.stop, job.meters)
        try:
            loop = _Loop(job, outputs)
            try:
                gc.freeze()
                correlator = Correlator(store, outputs, config.correlate_s, stop=job.stop, meters=job.meters)
                with correlator:
                    watch.enter("read")
                    loop.run()
                    watch.enter("correlate")
                    correlator.finish()
            finally:
                gc.unfreeze()
                loop.reader.close()
        finally:
            outputs.close()
        watch.enter("")
        return make_report(
            job,
            engine="local",
            ending="stopped" if job.stop.is_set() else "done",
            lines=loop.lines(),
            incidents=correlator.incidents.values(),
            seconds=watch.seconds,
            no_data_s=loop.reader.no_data_s,
        )


class _Loop:
    """Reader, shards and outputs, and what has been counted so far."""

    def __init__(self, job: Job, outputs: Outputs) -> None:
        settings = job.config.settings
        self._job = job
        self._outputs = outputs
        # whoever goes on after a kill reads some of it again, cut otherwise; files are read once, in bulk
        self._replays = bool(job.config.state) or kafka_servers(job.config.input or "") is not None
        self._run_id = str(uuid.uuid4())
        self._snapshots = Snapshots(job.config) if job.config.state else None
        self._saved_s = time.monotonic()
        saved = self._snapshots.load() if self._snapshots else None
        source = open_source(job)
        if saved is None:
            self.reader = Reader(source, settings, until_end=job.until_end, meters=job.meters)
            self.shards = (
                warm.shards(job.config, job.warm_start)
                if job.warm_start
                else [Shard(index, settings) for index in range(settings.shards)]
            )
        else:
            self.reader = Reader.restore(
                saved.reader, source, settings, until_end=job.until_end, meters=job.meters
            )
            self.shards = [Shard.restore(data, settings) for data in saved.shards]
            log.info("goes on from the state in %s", job.config.state)
        self._acknowledged = Acknowledgements(settings.shards)
        self._revision = 0
        self.accounts = Accounts()
        self._figures = Figures()

    def run(self) -> None:
        """Read, drive, flush, until the end or a stop."""
        flushed = time.monotonic()
        while not (self.reader.finished or self._job.stop.is_set()):
            for step in self.reader.step(time.monotonic()):
                self._take(step)
            now = time.monotonic()
            if now - flushed >= FLUSH_EVERY_S:
                self._deliver()
                flushed = now
                self._job.progress(self.reader.time_ms)
        self._deliver(last=True)

    def lines(self) -> Iterator[Count]:
        """What has been counted, and how many series there are."""
        yield from lines(self.accounts)
        yield from self._figures.lines()
        yield Count(OUTPUTS, "series", "", sum(map(series_of, self.shards)))

    def _take(self, step: Step) -> None:
        self._acknowledged.read(step.partition, step.next_offset, step.last_bucket)
        self.accounts = self.accounts + step.delivery.accounts
        self._outputs.write_dead_letters(step.delivery.dead_letters)
        for index, message in step.delivery.messages.items():
            for emission in drive(self.shards[index], message):
                if self._replays:
                    for part in by_window(emission):
                        self._outputs.deliver(part)
                else:
                    self._outputs.write(emission)
                self._figures.count(emission)
                tell_emission(self._job.meters, emission)

    def _deliver(self, *, last: bool = False) -> None:
        """Flush the sinks; only what they have may be left behind."""
        self._revision += 1
        self._outputs.write_accounts(self._run_id, self._revision, accounts(self.lines()))
        self._outputs.flush()
        for shard in self.shards:
            tell_shard(self._job.meters, shard)
            if (reached := done_to(shard)) is not None:
                self._acknowledged.flushed(shard.index, reached)
        if self._snapshots:
            if last or time.monotonic() - self._saved_s >= SNAPSHOT_EVERY_S:
                for index, size in enumerate(self._snapshots.save(self.reader, self.shards)):
                    self._job.meters.set(STATE_BYTES, size, str(index))
                self.reader.commit(self.reader.positions)
                self._saved_s = time.monotonic()
        elif self.reader.finished:
            self.reader.commit(self.reader.positions)
        else:
            self.reader.commit(self._acknowledged.positions())
