"""The Beam source: marks that are equal for equal readers, and commits that wait for the sinks."""

import pickle
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from apache_beam.utils.timestamp import MAX_TIMESTAMP

from operators.adapters.acknowledge import Acknowledgements
from operators.adapters.beam.codec import decode_parcel
from operators.adapters.beam.process import Inlet, forget, inlet, process
from operators.adapters.beam.source import Mark, MarkCoder, Read, TelemetryReader, TelemetrySource
from operators.adapters.reader import Reader
from operators.message import CHAIN_STEPS
from operators.settings import Settings
from operators.state import StateError
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
    process("job").inlet = Inlet(lambda part: source, SETTINGS, until_end=True)
    return TelemetrySource("job").create_reader(None, mark), source


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
    process("job").inlet = Inlet(
        lambda part: parts.append(part) or MemorySource(VALUES),  # type: ignore[func-returns-value]
        SETTINGS,
        until_end=True,
    )
    for split in TelemetrySource("job", readers=3).split(20):
        split.create_reader(None, None)
    assert parts == [(0, 3), (1, 3), (2, 3)]


class Closing(MemorySource):
    """Says that it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def assert_another_goes_on(mark: Mark, source: Closing) -> None:
    """From the mark, on a source of its own; the one there was is closed."""
    again, fresh = open_reader(mark, Closing(VALUES, most=10))
    again.advance()
    again.get_checkpoint_mark().finalize_checkpoint()
    assert source.closed
    assert (source.committed, fresh.committed) == ({}, {PARTITION: 20})


def test_a_reader_goes_on_where_it_is_when_nothing_moved_since_the_mark() -> None:
    reader, source = open_reader(source=Closing(VALUES, most=10))
    reader.start()
    again, _ = open_reader(reader.get_checkpoint_mark(), Closing(VALUES, most=10))
    assert again.advance()
    reader.close()  # the first one is over, and takes nothing along
    again.get_checkpoint_mark().finalize_checkpoint()
    assert (source.closed, source.committed) == (False, {PARTITION: 20})


def test_a_reader_stays_open_between_bundles_and_is_closed_with_its_job() -> None:
    reader, source = open_reader(source=Closing(VALUES, most=10))
    reader.start()
    reader.close()
    coder = MarkCoder()
    again, _ = open_reader(coder.decode(coder.encode(reader.get_checkpoint_mark())), Closing(VALUES, most=10))
    again.advance()
    assert Reader.positions_of(again.get_checkpoint_mark().snapshot) == {PARTITION: 20}
    again.close()
    assert not source.closed
    forget("job")
    assert source.closed


def test_a_reader_that_no_bundle_asks_for_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Closing(VALUES)
    process("job").inlet = Inlet(lambda part: source, SETTINGS, until_end=True)
    one, other = TelemetrySource("job", readers=2).split(2)
    one.create_reader(None, None).close()
    other.create_reader(None, None).close()
    assert not source.closed
    monkeypatch.setattr("operators.adapters.beam.source.LEFT_S", -1.0)
    other.create_reader(None, None)
    assert source.closed


def test_a_reader_that_failed_is_not_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Closing(VALUES, most=10)
    reader, _ = open_reader(source=source)
    reader.start()
    mark = reader.get_checkpoint_mark()
    monkeypatch.setattr(source, "poll", Mock(side_effect=OSError("half way")))
    with pytest.raises(OSError, match="half way"):
        reader.advance()
    reader.close()
    assert_another_goes_on(mark, source)


def test_beam_keeps_no_reader() -> None:
    read = Read(polls=20, seconds=1.0, poll_s=0.02)
    read.setup()
    assert read._reader_cache is None


def test_a_reader_that_moved_since_the_mark_is_replaced() -> None:
    source = Closing(VALUES, most=10)
    reader, _ = open_reader(source=source)
    reader.start()
    mark = reader.get_checkpoint_mark()
    reader.advance()
    assert_another_goes_on(mark, source)
    with pytest.raises(RuntimeError, match="taken over"):
        reader.advance()


def test_what_was_read_to_its_end_is_committed_after_its_bundle() -> None:
    reader, source = open_reader()
    read(reader)
    mark = reader.get_checkpoint_mark()
    reader.close()
    mark.finalize_checkpoint()
    assert source.committed == {PARTITION: 100}


def test_a_source_out_of_a_savepoint_is_read_as_the_job_now_says() -> None:
    reader, _ = open_reader()
    reader.start()
    source = pickle.loads(pickle.dumps(TelemetrySource("job")))
    mark = MarkCoder().decode(MarkCoder().encode(reader.get_checkpoint_mark()))
    forget("job")
    process("later").inlet = Inlet(lambda part: MemorySource(VALUES, most=10), SETTINGS, until_end=True)
    try:
        later = source.create_reader(None, mark)
        assert later.advance()
        assert decode_parcel(later.get_current()).messages[0][0].offset == 20 * CHAIN_STEPS
    finally:
        forget("later")
    with pytest.raises(RuntimeError, match="cannot be opened"):
        inlet("job")


def test_a_mark_of_another_layout_is_refused() -> None:
    with pytest.raises(StateError, match=r"driftline mark 9.*resume with the version that wrote it"):
        MarkCoder().decode(b"driftline mark 9\njob 0 1 00\n")
