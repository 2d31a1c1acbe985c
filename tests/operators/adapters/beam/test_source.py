"""The Beam source: marks that are equal for equal readers, and commits that wait for the sinks."""

from collections.abc import Iterator

import pytest
from apache_beam.utils.timestamp import MAX_TIMESTAMP

from operators.adapters.acknowledge import Acknowledgements
from operators.adapters.beam.codec import decode_parcel
from operators.adapters.beam.process import forget, process
from operators.adapters.beam.source import Mark, MarkCoder, TelemetryReader, TelemetrySource
from operators.settings import Settings
from tests.operators.adapters.memory import START_MS, MemorySource, request

SETTINGS = Settings(shards=2)
PARTITION = "telemetry.requests.v1/0"
VALUES = {PARTITION: [request(START_MS + second * 1000) for second in range(100)]}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    forget("job")
    yield
    forget("job")


def open_reader(
    mark: Mark | None = None, source: MemorySource | None = None
) -> tuple[TelemetryReader, MemorySource]:
    source = source or MemorySource(VALUES, most=10)
    opener = lambda part: source  # noqa: E731
    return TelemetrySource(opener, SETTINGS, "job", until_end=True).create_reader(None, mark), source


def read(reader: TelemetryReader) -> list[bytes]:
    found = []
    has = reader.start()
    while has or reader.get_watermark() < MAX_TIMESTAMP:
        if has:
            found.append(reader.get_current())
        has = reader.advance()
    return found


def test_a_reader_ends_at_the_end_of_time_with_everything_read() -> None:
    reader, _ = open_reader()
    accounts = [line for data in read(reader) for line in decode_parcel(data).accounts]
    assert sum(line.samples for line in accounts if line.outcome == "accepted") == 100


def test_a_mark_resumes_where_it_was_cut() -> None:
    whole = read(open_reader()[0])
    reader, _ = open_reader()
    begun = [reader.get_current()] if reader.start() else []
    for _ in range(3):
        begun += [reader.get_current()] if reader.advance() else []
    coder = MarkCoder()
    mark = coder.decode(coder.encode(reader.get_checkpoint_mark()))
    assert coder.encode(mark) == coder.encode(reader.get_checkpoint_mark())
    assert begun + read(open_reader(mark)[0]) == whole


def test_where_a_checkpoint_covers_the_rest_a_mark_commits_itself() -> None:
    reader, source = open_reader()
    reader.start()
    reader.get_checkpoint_mark().finalize_checkpoint()
    assert source.committed == {PARTITION: 10}


def test_in_memory_a_mark_commits_what_the_sinks_acknowledged() -> None:
    process("job").acknowledgements = Acknowledgements(SETTINGS.shards)
    reader, source = open_reader()
    reader.start()
    reader.get_checkpoint_mark().finalize_checkpoint()
    assert source.committed == {}
    for shard in range(SETTINGS.shards):
        process("job").acknowledgements.flushed(shard, START_MS + 60_000)
    reader.get_checkpoint_mark().finalize_checkpoint()
    assert source.committed == {PARTITION: 10}


def test_a_stop_ends_the_reader() -> None:
    reader, _ = open_reader()
    assert reader.start()
    process("job").stop.set()
    assert not reader.advance()
    assert reader.get_watermark() == MAX_TIMESTAMP


def test_splits_share_the_partitions_out() -> None:
    parts = []
    source = TelemetrySource(
        lambda part: parts.append(part) or MemorySource(VALUES),  # type: ignore[func-returns-value]
        SETTINGS,
        "job",
        until_end=True,
        readers=3,
    )
    for split in source.split(20):
        split.create_reader(None, None)
    assert parts == [(0, 3), (1, 3), (2, 3)]
