"""Where a run's outputs go: ClickHouse always, a folder or Kafka for the topics where one is named."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Event, Lock

from operators.clickhouse import Store
from operators.dead_letters import DeadLetter
from operators.emission import Emission
from operators.meters import SINK_MILLISECONDS, SINK_ROWS, UNMETERED, Meters
from operators.outage import BROKERS, wait_out
from operators.sinks import ClickHouseSink, FileSink, KafkaSink, Publisher
from pipelines.config import Config, kafka_servers
from pipelines.engines.job import kafka_options
from schemas.outputs import Incident
from schemas.rows import Count


class Outputs:
    """The sinks of one run as one; what `flush` returned from is delivered.

    Args:
        config: of the run.
        store: open and migrated; stays with whoever opened it.
        stop: set when the run is to end; until then `flush` waits for a ClickHouse or Kafka that is away.
        meters: told of what was delivered, and how long it took.
    """

    def __init__(
        self, config: Config, store: Store, stop: Event | None = None, meters: Meters = UNMETERED
    ) -> None:
        self._tables = ClickHouseSink(store, config.settings.config_hash(), stop=stop, meters=meters)
        self._publisher = _publisher(config)
        self._published = 0
        self._meters = meters
        self._stop = stop or Event()
        self._lock = Lock()  # correlation hands in incidents from a thread of its own

    def write(self, emission: Emission) -> None:
        """Take one emission."""
        with self._lock:
            self._write(emission)

    def deliver(self, emission: Emission) -> None:
        """Write one emission and flush it alone: whenever it comes again, its inserts carry the same tokens.

        Raises what `flush` does.
        """
        with self._lock:
            self._write(emission)
            self._flush()

    def write_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Take refused samples; without a folder or broker they are counted alone."""
        if self._publisher and letters:
            with self._lock:
                self._publisher.write_dead_letters(letters)
                self._published += len(letters)

    def write_incidents(self, incidents: Sequence[Incident]) -> None:
        """Deliver new versions of incidents, which their table has already; raises what `flush` does."""
        if self._publisher and incidents:
            with self._lock:
                self._publisher.write_incidents(incidents)
                self._published += len(incidents)
                self._flush()

    def write_accounts(self, run_id: str, revision: int, counts: Iterable[Count]) -> None:
        """Take the running totals of the run."""
        with self._lock:
            self._tables.write_accounts(run_id, revision, counts)

    def flush(self) -> None:
        """Deliver; raises `StoreError` or `SinkError` and keeps what was not."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Let go of the topics' connection; what was not flushed is given up."""
        if self._publisher:
            self._publisher.close()

    def _write(self, emission: Emission) -> None:
        self._tables.write(emission)
        if self._publisher:
            self._publisher.write(emission)
            self._published += len(emission.events)

    def _flush(self) -> None:
        self._tables.flush()
        if self._publisher and self._published:
            began = time.monotonic()
            waits = f"{self._published} records"
            wait_out(self._publisher.flush, self._stop, waits, self._meters, BROKERS)
            self._meters.observe(SINK_MILLISECONDS, 1000 * (time.monotonic() - began), "topics")
            self._meters.add(SINK_ROWS, self._published, "topics")
            self._published = 0


def open_store(config: Config) -> Store:
    """The configured store with its tables up to date."""
    store = Store.open(config.clickhouse)
    try:
        store.migrate()
    except BaseException:
        store.close()
        raise
    return store


def _publisher(config: Config) -> Publisher | None:
    address = config.output
    if not address:
        return None
    if kafka_servers(address) is None:
        return FileSink(Path(address))
    return KafkaSink(kafka_options(config, address), config.kafka.client)
