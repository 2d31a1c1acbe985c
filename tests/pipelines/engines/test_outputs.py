"""The run's sinks as one, used by several threads, as Beam's workers do."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from operators.emission import Emission
from operators.sinks import SinkError
from operators.store_errors import SinkAway
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


class Silent:
    """Brokers that answer the third time they are asked."""

    def __init__(self) -> None:
        self.asked = 0

    def write(self, emission: Emission) -> None: ...

    def flush(self) -> None:
        self.asked += 1
        if self.asked < 3:
            raise SinkAway("nobody answers")


def test_brokers_that_are_away_are_waited_for_until_the_run_is_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operators.outage.PAUSE_S", 0.0)
    config, stop = resolve(clickhouse=f"chdb:{tmp_path / 'db'}", output=str(tmp_path / "out")), Event()
    with open_store(config) as store:
        outputs = Outputs(config, store, stop)
        silent: Any = Silent()
        outputs._publisher = silent
        outputs.deliver(Emission(0, events=(event(1),)))
        assert silent.asked == 3
        silent.asked = 0
        stop.set()
        with pytest.raises(SinkAway):
            outputs.deliver(Emission(0, events=(event(2),)))
        assert silent.asked == 1
