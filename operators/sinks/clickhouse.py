"""Closed buckets, events, their windows, changes and edges into ClickHouse.

An insert's token is made from its table, the config hash and the rows themselves: the same rows again are
dropped by the server, and other rows never are. A replay that batches otherwise adds raw rows that
ReplacingMergeTree collapses (`FINAL`).

While ClickHouse is away or overloaded `flush` waits, and with it whoever feeds the sink: what is held stays
within a batch and an emission, and no offset advances.
"""

import hashlib
import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from operators.clickhouse import Store
from operators.emission import Emission
from operators.meters import SINK_MILLISECONDS, SINK_ROWS, UNMETERED, Meters
from operators.outage import wait_out
from schemas import rows
from schemas.rows import Count


class ClickHouseSink:
    """Gathers the emissions of any number of shards and inserts them table by table.

    Args:
        store: an open, migrated store; closing it stays with whoever opened it.
        config_hash: of the settings behind what is written.
        batch_rows: rows at which `write` flushes by itself.
        stop: set when the run is to end; a flush then no longer waits for a store that is away.
        meters: told of rows, of how long each batch took, and of a store that is away.
    """

    def __init__(
        self,
        store: Store,
        config_hash: str,
        batch_rows: int = 50_000,
        stop: threading.Event | None = None,
        meters: Meters = UNMETERED,
    ):
        self._store = store
        self._config_hash = config_hash
        self._batch_rows = batch_rows
        self._stop = stop or threading.Event()
        self._meters = meters
        self._gathered: dict[str, list[pa.Table]] = {}
        self._batches: list[_Batch] = []

    def write(self, emission: Emission) -> None:
        """Take one emission."""
        if emission.buckets is not None:
            self._add("signal_buckets", rows.bucket_rows(emission.buckets))
        if emission.changes:
            self._add("change_revisions", rows.changes_table(emission.changes))
        if emission.edges:
            self._add("topology_edges", rows.edges_table(emission.edges, emission.last_ms or 0))
        if emission.windows:
            self._add("anomaly_windows", rows.windows_table(emission.windows))
        if emission.events:
            self._add("anomaly_events", rows.events_table(emission.events))
        if sum(part.num_rows for parts in self._gathered.values() for part in parts) >= self._batch_rows:
            self.flush()

    def write_accounts(self, run_id: str, revision: int, counts: Iterable[Count]) -> None:
        """Take the running totals of a run; ``revision`` rises with each call."""
        self._add("ingest_accounts", rows.accounts_table(run_id, revision, counts))

    def flush(self) -> None:
        """Insert what was gathered, one insert a table, waiting for a store that is away.

        Raises:
            StoreAway: the store was away when the run was to end; what is not in is kept.
            StoreError: the store refuses; what is not in is kept.
        """
        for table in _ORDER:
            if parts := self._gathered.pop(table, None):
                merged = pa.concat_tables(parts).combine_chunks()
                self._batches.append(_Batch(table, merged, self._token(table, merged)))
        while self._batches:
            # a batch is never merged with later ones: tried again, it must keep its token
            waiting = sum(batch.rows.num_rows for batch in self._batches)
            insert = partial(self._insert, self._batches[0])
            wait_out(insert, self._stop, f"{waiting} rows", self._meters)
            del self._batches[0]

    def _add(self, table: str, part: pa.Table) -> None:
        if part.num_rows:
            self._gathered.setdefault(table, []).append(part)

    def _insert(self, batch: "_Batch") -> None:
        began = time.monotonic()
        self._store.insert(*batch)
        self._meters.observe(SINK_MILLISECONDS, 1000 * (time.monotonic() - began), "clickhouse")
        self._meters.add(SINK_ROWS, batch.rows.num_rows, "clickhouse")

    def _token(self, table: str, merged: pa.Table) -> str:
        content = pa.BufferOutputStream()
        with pa.ipc.new_stream(content, merged.schema) as writer:
            writer.write_table(merged)
        digest = hashlib.blake2b(f"{table}|{self._config_hash}|".encode(), digest_size=16)
        digest.update(content.getvalue())
        return digest.hexdigest()


class _Batch(NamedTuple):
    table: str
    rows: pa.Table
    token: str


#: Events last: whoever reads one finds its windows and buckets.
_ORDER = (
    "signal_buckets",
    "change_revisions",
    "topology_edges",
    "anomaly_windows",
    "anomaly_events",
    "ingest_accounts",
)
