"""The run's sinks as one, used by several threads, as Beam's workers do."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from operators.emission import Emission
from pipelines.config import resolve
from pipelines.engines.outputs import Outputs, open_store
from tests.outputs import event


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns at every step."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless")
def test_what_threads_deliver_side_by_side_is_known_when_it_comes_again(tmp_path: Path) -> None:
    config = resolve(clickhouse=f"chdb:{tmp_path / 'db'}")
    emissions = [Emission(number % 4, events=(event(number),)) for number in range(30)]
    with open_store(config) as store:
        before = Outputs(config, store)
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(before.deliver, emissions))
        after = Outputs(config, store)
        for emission in emissions:
            after.deliver(emission)
        [found] = store.query("SELECT count() AS n FROM anomaly_events").to_pylist()
    assert found["n"] == len(emissions)
