"""Correlation waits for a store that is away, and no longer than the run."""

import threading
from typing import Any

import pytest

from operators import meters as of
from operators.store_errors import StoreAway, StoreError
from pipelines.correlate import correlate_every
from pipelines.engines.correlator import Correlator
from pipelines.observe import Recorder


class Outputs:
    """Takes incidents."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def write_incidents(self, incidents: Any) -> None:
        self.taken.append(list(incidents))


class Passes:
    """A store's correlation that fails so often before it succeeds."""

    def __init__(self, away: int, error: type[StoreError] = StoreAway) -> None:
        self.left, self.error = away, error

    def __call__(self, store: Any) -> list[Any]:
        self.left -= 1
        if self.left >= 0:
            raise self.error("connection refused")
        return []


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.outage.PAUSE_S", 0.001)


def correlator(
    monkeypatch: pytest.MonkeyPatch, passes: Passes, stop: threading.Event, meters: Recorder | None = None
) -> tuple[Correlator, Outputs]:
    monkeypatch.setattr("pipelines.engines.correlator.correlate_once", passes)
    store: Any = None
    outputs: Any = Outputs()
    return Correlator(store, outputs, 1e9, stop=stop, meters=meters or Recorder()), outputs


def test_the_last_pass_waits_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    waits, outputs = correlator(monkeypatch, Passes(3), threading.Event(), recorder)
    with waits:
        waits.finish()
    assert outputs.taken == [[]]
    assert recorder.value(of.STORE_AWAY) == 0
    assert recorder.value(of.CORRELATED)


def test_the_last_pass_of_a_run_that_is_to_end_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    stop.set()
    waits, outputs = correlator(monkeypatch, Passes(10**9), stop)
    with waits, pytest.raises(StoreAway, match="when the run was to stop"):
        waits.finish()
    assert outputs.taken == []


def test_a_pass_that_is_refused_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = correlator(monkeypatch, Passes(1, StoreError), threading.Event())[0]
    with refused, pytest.raises(StoreError, match="refused"):
        refused.finish()


def test_passes_every_so_often_outlive_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.correlate.correlate_once", Passes(4))
    stop, told = threading.Event(), []

    def tell(incidents: list[Any]) -> None:
        told.append(incidents)
        if len(told) == 3:
            stop.set()

    store: Any = None
    correlate_every(store, 0.0, tell, stop)
    assert told == [[], [], []]
