"""What a reader says beside the steps it hands out: producer faults by name, and nothing for others' data."""

import logging

import pytest

from operators.adapters.reader import Reader
from operators.adapters.source import Partition
from operators.settings import Settings
from tests.operators.adapters.memory import START_MS, MemorySource, request

A = "telemetry.requests.v1/0"


def test_producers_whose_clock_is_wrong_are_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    records = [
        request(START_MS + second * 1000 - behind * 1000, second, producer=producer)
        for second in range(200)
        for producer, behind in (("a", 0), ("b", 0), ("c", 3600))
    ]
    reader = Reader(MemorySource({A: records}, most=100), Settings(), until_end=True)
    for tick in range(10):
        reader.step(float(tick))
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert told
    assert {record.__dict__["partition"] for record in told} == {A}
    assert all(
        "c 60 late and 0 ahead of 60, off by -36" in record.getMessage() or not n
        for n, record in enumerate(told)
    )
    assert not any("a 60" in record.getMessage() for record in told)


class _Shared(MemorySource):
    """Whose telemetry is read by others."""

    def partitions(self) -> list[Partition]:
        return [
            Partition("changes.v1", "changes.v1/0"),
            Partition("telemetry.requests.v1", A, here=False),
        ]


def test_who_has_read_all_there_is_misses_none(caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(MemorySource({A: [request(START_MS)]}), Settings(), until_end=True)
    for tick in range(200):  # as a worker whose shards are not there yet
        reader.step(float(tick))
    assert reader.finished
    assert "no_data" not in caplog.text
    assert reader.no_data_s == 0


def test_who_has_no_telemetry_to_read_misses_none(caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(_Shared({"changes.v1/0": []}), Settings(), until_end=False)
    for tick in range(200):
        reader.step(float(tick))
    assert "no_data" not in caplog.text
    assert reader.no_data_s == 0
