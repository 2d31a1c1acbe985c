"""One input, every engine: equal events, incidents, accounts, refusals and rows, raw and by key.

What is expected is what the in-process loop makes of files. Real engines read the same from Kafka.
"""

import random
import threading
from collections.abc import Iterator, Sequence

import pytest

from benchmarks.reliability.outcome import Outcome, differences, of_files
from benchmarks.reliability.place import PARTS, Feed, Place
from benchmarks.reliability.recorded import Record
from pipelines.stack import Stack
from tests.engines.broker import NEVER_IDLE_S

ON_FILES = "beam in this process"


@pytest.fixture(autouse=True, scope="module")
def _servers(request: pytest.FixtureRequest, _quick_to_start: None) -> Iterator[None]:
    """All that engines need here begins at once, beside what is computed without it."""
    try:
        stack: Stack = request.getfixturevalue("stack")
    except pytest.skip.Exception:  # which those tell that need it
        yield
        return
    begins = threading.Thread(target=stack.up, args=PARTS["flink"])
    begins.start()
    yield
    begins.join()


@pytest.fixture(scope="module", params=[ON_FILES, "local", "flink", "faust"])
def found(
    request: pytest.FixtureRequest, records: Sequence[Record], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outcome]:
    folder, engine = tmp_path_factory.mktemp("engine"), str(request.param)
    if engine == ON_FILES:
        yield of_files(records, folder, "beam", NEVER_IDLE_S)
        return
    stack: Stack = request.getfixturevalue("stack")
    stack.up(*PARTS[engine])
    place = Place(stack, engine, f"contract_{engine}", records, folder / "run", idle_s=NEVER_IDLE_S)
    try:
        feed = Feed(stack.kafka, shuffled(records), over_s=0.0)
        feed.start()
        feed.done()
        yield place.finish()
        assert place.lag() == {}
    finally:
        place.close()


def shuffled(records: Sequence[Record]) -> list[Record]:
    """Partitions shuffled into each other, each in its own order."""
    queues: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        queues.setdefault((record.topic, record.partition), []).append(record)
    turns = [place for place, queue in queues.items() for _ in queue]
    random.Random(3).shuffle(turns)
    left = {place: iter(queue) for place, queue in queues.items()}
    return [next(left[place]) for place in turns]


def test_the_recording_has_everything_in_it(wanted: Outcome) -> None:
    requests = wanted.accounts["telemetry.requests.v1"]
    assert all(requests[outcome] > 0 for outcome in ("accepted", "refused", "late", "duplicate"))
    assert len(wanted.published) > 10
    assert wanted.incidents
    assert wanted.dead
    assert all(table.num_rows for table in wanted.final.values())
    for account in wanted.accounts.values():
        assert account["in"] == sum(count for outcome, count in account.items() if outcome != "in")


def test_the_same_events(found: Outcome, wanted: Outcome) -> None:
    assert found.published == wanted.published
    assert found.events == wanted.events


def test_the_same_incidents(found: Outcome, wanted: Outcome) -> None:
    # each pass of correlation that changes one counts, and passes are timed by the clock
    ours, theirs = (
        [{name: value for name, value in row.items() if name != "version"} for row in outcome.incidents]
        for outcome in (found, wanted)
    )
    assert ours == theirs


def test_the_same_accounts_by_reason(found: Outcome, wanted: Outcome) -> None:
    assert found.accounts == found.stored == wanted.accounts
    assert found.counts == wanted.counts


def test_the_same_rows_and_refusals(found: Outcome, wanted: Outcome) -> None:
    assert differences(found, wanted) == []


def test_no_text_is_kept(found: Outcome, wanted: Outcome) -> None:
    for outcome in (found, wanted):
        assert any(outcome.kept)
        assert not any(b"secret words" in value for value in outcome.kept)
