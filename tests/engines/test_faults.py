"""The servers beside an engine killed at random moments under load: the same events, rows and offsets.

The engines' own processes are killed in `test_faust` and `test_flink`. Many seeds, every engine, and what
takes minutes are in ``make bench-faults``, whose harness this is.
"""

from pathlib import Path

from benchmarks.reliability.faults import Run
from pipelines.stack import Stack
from tests.engines.broker import NEVER_IDLE_S


def test_nothing_is_lost_or_doubled_when_servers_are_killed(stack: Stack, tmp_path: Path) -> None:
    run = Run(stack, "local", "kill kafka, clickhouse", 1, tmp_path, strikes=2, idle_s=NEVER_IDLE_S)
    assert run.measure() == []
