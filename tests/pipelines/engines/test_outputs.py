"""The run's sinks as one, used by several threads, as Beam's workers do."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from operators.emission import Emission
from operators.sinks import SinkError
from pipelines.config import resolve
from pipelines.engines.outputs import Outputs, open_store
from tests.outputs import event, incident


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


def test_incidents_are_out_at_once_and_an_end_after_a_failure_tells_of_nothing_else(tmp_path: Path) -> None:
    config = resolve(clickhouse=f"chdb:{tmp_path / 'db'}", output=str(tmp_path / "out"))
    with open_store(config) as store:
        outputs = Outputs(config, store)
        outputs.write_incidents([incident()])
        (line,) = (tmp_path / "out" / "incidents.v1" / "part-0.ndjson").read_bytes().splitlines()
        assert str(incident().incident_id).encode() in line
        (tmp_path / "out" / "anomalies.v1").touch()  # in the way of the topic's folder
        outputs.write(Emission(0, events=(event(1),)))
        with pytest.raises(SinkError, match="cannot write"):
            outputs.flush()
        outputs.close()
