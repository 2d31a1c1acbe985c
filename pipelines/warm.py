"""``driftline run --warm-start``: shards that learn from history before a run begins.

Without state, a run knows no series and is blind until it does. History is what a run before it closed
(``signal_buckets`` in ClickHouse) or a recording; baselines come of it, never events.
"""

import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from operators.adapters.drive import drive, series_of
from operators.adapters.files import FileSource
from operators.adapters.reader import Reader
from operators.cells import cell_fields
from operators.clickhouse import Store
from operators.settings import Settings
from operators.shard import Shard
from operators.shard.history import windows
from pipelines.config import Config
from pipelines.errors import UsageError
from schemas.tables import BUCKET_COLUMN, BUCKETS

log = logging.getLogger(__name__)

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([dh])")
_UNITS_MS = {"h": 3_600_000, "d": 86_400_000}
#: History read at once: what bounds memory, and the same whatever it is (ms).
_CHUNK_MS = 3_600_000


def shards(config: Config, source: str) -> list[Shard]:
    """All shards of a run, having learnt from ``source``.

    Args:
        config: of the run.
        source: how much of what ClickHouse holds, ending with its newest window (``7d``, ``36h``), which may
            be nothing yet; or a recorded folder.

    Raises:
        UsageError: the source is neither, or a folder without history.
    """
    settings = config.settings
    made = [Shard(index, settings) for index in range(settings.shards)]
    span = _SPAN.fullmatch(source)
    if span:
        tables = _stored(config, float(span[1]) * _UNITS_MS[span[2]])
    elif Path(source).is_dir():
        tables = _recorded(settings, Path(source))
    else:
        raise UsageError(
            f"--warm-start: {source} is no folder, and no span of the configured ClickHouse, as 7d or 36h"
        )
    log.warning("warm: learning from %s", source)  # may take minutes
    fields, window_ms = cell_fields(settings.slices), settings.windows.detect_s * 1000
    seen: set[int] = set()
    for table in tables:
        for index, past in windows(table, fields, settings.shards, window_ms):
            made[index].learn(past)
            seen.add(past.start)
    if not seen:
        missing = f"--warm-start: {source} holds no window of {settings.windows.detect_s} s"
        if not span:
            raise UsageError(missing)
        log.warning("%s yet: beginning without history", missing)  # the first run of a deployment
        return made
    for shard in made:
        shard.begin()
    first, last = (datetime.fromtimestamp(t / 1000, UTC) for t in (min(seen), max(seen) + window_ms))
    series = sum(map(series_of, made))
    text = "warm: %d series from %d windows, %s to %s UTC"
    log.warning(text, series, len(seen), f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M}")
    return made


def snapshots(config: Config, source: str | None) -> dict[int, bytes]:
    """`shards` as bytes, by index, for engines that begin them elsewhere; none without a source."""
    return {shard.index: shard.snapshot() for shard in shards(config, source)} if source else {}


def _stored(config: Config, span_ms: float) -> Iterator[pa.Table]:
    """Rows of ``signal_buckets``, an hour at a time."""
    bucket_s = config.settings.windows.detect_s
    where = {"bucket_s": bucket_s}
    columns = ", ".join(f"{BUCKET_COLUMN.get(name, name)} AS `{name}`" for name in BUCKETS.names[1:])
    with Store.open(config.clickhouse) as store:
        store.migrate()
        (reach,) = store.query(
            "SELECT toUnixTimestamp64Milli(min(bucket_start)) AS first, "
            "toUnixTimestamp64Milli(max(bucket_start)) AS last, count() AS rows "
            "FROM signal_buckets WHERE bucket_s = {bucket_s:UInt32}",
            where,
        ).to_pylist()
        if not reach["rows"]:
            return
        first = max(int(reach["first"]), int(reach["last"]) + bucket_s * 1000 - int(span_ms))
        for start in range(first, int(reach["last"]) + 1, _CHUNK_MS):
            bounds: dict[str, Any] = where | {"start": start, "end": start + _CHUNK_MS}
            yield store.query(
                f"SELECT toUnixTimestamp64Milli(b.bucket_start) AS bucket_start, {columns} "  # noqa: S608
                "FROM signal_buckets AS b FINAL WHERE b.bucket_s = {bucket_s:UInt32} "
                "AND b.bucket_start >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') "
                "AND b.bucket_start < fromUnixTimestamp64Milli({end:Int64}, 'UTC')",
                bounds,
            )


def _recorded(settings: Settings, folder: Path) -> Iterator[pa.Table]:
    """Windows of a recording: what shards hand out when they are driven through it, events left out."""
    driven = [Shard(index, settings) for index in range(settings.shards)]
    reader = Reader(FileSource(folder, follow=False), settings, until_end=True)
    try:
        while not reader.finished:
            for step in reader.step(time.monotonic()):
                for index, message in step.delivery.messages.items():
                    for emission in drive(driven[index], message):
                        if emission.buckets is not None:
                            yield _complete(emission.buckets)
    finally:
        reader.close()


def _complete(table: pa.Table) -> pa.Table:
    """The table with identity fields that no slice uses, absent."""
    for field in BUCKETS:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table
