"""Servers and clusters killed at random moments under load: the same events, rows and offsets.

Each is killed three times here; workers of Faust and of Flink's pool in `test_faust` and `test_flink`. Twenty
seeds, every engine, and what takes minutes are in ``make bench-faults``, whose harness this is.
"""

from pathlib import Path

import pytest

from benchmarks.reliability.faults import Run
from pipelines.stack import Stack
from tests.engines.broker import NEVER_IDLE_S


@pytest.mark.parametrize(
    ("engine", "parts"),
    [("local", ("kafka", "clickhouse")), ("flink", ("taskmanager-0", "worker-pool-0", "job-server"))],
)
def test_nothing_is_lost_or_doubled_whatever_is_killed(
    stack: Stack, tmp_path: Path, engine: str, parts: tuple[str, ...]
) -> None:
    kind, strikes = f"kill {', '.join(parts)}", 3 * len(parts)
    run = Run(stack, engine, kind, 1, tmp_path, strikes=strikes, idle_s=NEVER_IDLE_S, feed_s=2.0)
    assert run.measure() == []
    assert run.killed == [*parts] * 3
