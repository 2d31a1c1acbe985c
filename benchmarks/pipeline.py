"""The scalar path from records to verdicts, one core's time: the core alone, and on Beam's FnApiRunner.

The data is one busy service: 1,000-sample Arrow records, some ten minutes of event time. Beam's own ZScore
(`benchmarks.beam_zscore`) is measured in the same run, on the same runner, one value an element.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import beam_zscore
from benchmarks.fold import _START_MS, _arrow, _records, _samples
from operators.adapters.drive import drive, series_of
from operators.intake import Intake
from operators.settings import Settings
from operators.shard import Shard
from pipelines.config import resolve
from pipelines.engines.job import Job

TOPIC = "telemetry.requests.v1"


def _tables(records: int, rate: int) -> list[pa.Table]:
    """Records of 1,000 samples, ``rate`` samples a second of event time."""
    spacing = 1_000_000 // rate
    tables = []
    for seed in range(records):
        table = _samples(1_000, seed)
        place = table.schema.get_field_index("event_time")
        times = np.sort(_START_MS + seed * spacing + np.random.default_rng(seed).integers(0, spacing, 1_000))
        tables.append(table.set_column(place, "event_time", pa.array(times)))
    return tables


def _core(tables: list[pa.Table]) -> tuple[float, int]:
    settings = Settings()
    records = _records([_arrow(table) for table in tables])
    intake, shards = (
        Intake(TOPIC, f"{TOPIC}/0", settings),
        [Shard(i, settings) for i in range(settings.shards)],
    )
    intake.partitions = (f"{TOPIC}/0",)
    began = time.process_time()
    for first in range(0, len(records), 10):
        for index, message in intake.take(records[first : first + 10]).messages.items():
            for _ in drive(shards[index], message):
                pass
    spent = time.process_time() - began
    return sum(table.num_rows for table in tables) / spent, sum(series_of(shard) for shard in shards)


def _engine(name: str, folder: Path) -> float:
    import importlib

    config = resolve(None, input=str(folder / "in"), clickhouse=f"chdb:{folder / name}", engine=name)
    engine = importlib.import_module(f"pipelines.engines.{name}")
    return float(engine.run(Job(config, until_end=True)).samples_per_s)


def run(records: int = 600) -> dict[str, Any]:
    """Samples a second: ``core`` is intake, fold and detection by CPU time, the engines whole runs by wall.

    At 1,000 samples a second of event time and, for what closing windows costs, at 50.
    """
    tables = _tables(records, 1_000)
    core, series = _core(tables)
    slow, _ = _core(_tables(records // 3, 50))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        topic = folder / "in" / TOPIC
        topic.mkdir(parents=True)
        with (
            pa.OSFile(str(topic / "0.arrows"), "wb") as sink,
            pa.ipc.new_stream(sink, tables[0].schema) as out,
        ):
            for table in tables:
                out.write_table(table)
        local, beam = _engine("local", folder), _engine("beam", folder)
    zscore = beam_zscore.run()["elements_per_s"]
    return {
        "core_samples_per_s": core,
        "core_samples_per_s_at_50_a_second": slow,
        "local_samples_per_s": local,
        "beam_fnapi_samples_per_s": beam,
        "beam_zscore_elements_per_s": zscore,
        "core_over_zscore": core / float(str(zscore)),
        "beam_fnapi_over_zscore": beam / float(str(zscore)),
        "series": series,
    }
