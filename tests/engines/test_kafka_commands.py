"""``driftline topics`` and ``driftline dlq`` against a real broker, and against a folder."""

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.reliability.topics import recreate, remove
from operators.adapters.kafka import CLIENTS, KafkaOptions, connect
from operators.dead_letters import DeadLetter
from operators.sinks import FileSink, KafkaSink
from operators.sinks.dead_letters import REPLAYED, dlq_json, dlq_record, letter_of_json, letter_of_record
from pipelines.stack import Stack
from schemas.topics import TOPICS
from tests.acceptance.command import Answer, here, start
from tests.engines.broker import until, with_admin

#: kafka-python leaves some sockets for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

TOPIC = "telemetry.gpu.v1"
Command = Callable[..., Answer]
LETTERS = [
    DeadLetter("missing_field", "gpu", TOPIC, f"{TOPIC}/0", 3, 9, "ab" * 32, b'{"a": 1}'),
    DeadLetter("text_field", "a field that carries text", TOPIC, f"{TOPIC}/0", 4, 20, "cd" * 32, None),
    DeadLetter("bad_time", "event_time", TOPIC, f"{TOPIC}/1", 1, 9, "ef" * 32, b'{"b": 2}'),
]


@pytest.fixture
def driftline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    yield lambda *arguments: here(tmp_path, *arguments, monkeypatch=monkeypatch, capfd=capfd)
    gc.collect()


@pytest.fixture
def servers(stack: Stack) -> str:
    stack.up("kafka")
    return stack.kafka


@pytest.mark.parametrize("letter", LETTERS)
def test_a_dead_letter_is_read_as_it_was_written(letter: DeadLetter) -> None:
    headers, value = dlq_record(letter)
    assert letter_of_record(dict(headers), value) == letter
    assert letter_of_json(dlq_json(letter)) == letter


def test_topics_are_made_once_and_differences_are_told(servers: str, driftline: Command) -> None:
    where = ("--kafka", f"kafka://{servers}", "--json")
    have = with_admin(servers, lambda admin: admin.list_topics())
    made = driftline("topics", "create", *where)
    assert made.code == 0
    fresh = json.loads(made.out)
    assert set(fresh) == set(TOPICS) - set(have)
    assert json.loads(driftline("topics", "create", *where).out) == []

    def made_in_full() -> bool:  # a broker says that it made a topic before it tells of its partitions
        found = with_admin(servers, lambda admin: admin.describe_topics(fresh)) if fresh else []
        return all(len(each["partitions"]) == TOPICS[each["name"]].partitions for each in found)

    until(made_in_full, "the partitions of all that were made")
    if not set(have) & set(TOPICS):  # other tests make some in ways of their own
        same = driftline("topics", "diff", *where)
        assert (same.code, json.loads(same.out)) == (0, [])
    remove(servers, ["changes.v1.dlq"])
    other = driftline("topics", "diff", *where)
    assert other.code == 1
    lost = {"topic": "changes.v1.dlq", "what": "topic", "declared": "exists", "found": "missing"}
    assert lost in json.loads(other.out)


def test_a_broker_that_is_away_is_said_in_one_line(tmp_path: Path) -> None:
    # in processes of their own: kafka-python leaves the sockets of refused connections open
    commands = (("topics", "diff", "--kafka"), ("dlq", "list", TOPIC, "--from"))
    for running in [start(tmp_path, *command, "kafka://127.0.0.1:9") for command in commands]:
        answer = running.answer()
        assert answer.code == 1
        assert answer.err.startswith("driftline: kafka")
        assert "127.0.0.1:9" in answer.err
        assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("library", sorted(CLIENTS))
def test_dead_letters_on_kafka_are_sent_again_once(
    servers: str, library: str, tmp_path: Path, driftline: Command
) -> None:
    recreate(servers, {TOPIC: 1, f"{TOPIC}.dlq": 1})
    patient = KafkaOptions(servers=servers, bootstrap_timeout_s=180.0, timeout_s=180.0)
    sink = KafkaSink(patient, library, timeout_s=180.0)
    sink.write_dead_letters(LETTERS)
    sink.flush()
    sink.close()
    (tmp_path / "c.yaml").write_text(f"input: kafka://{servers}\nkafka:\n  client: {library}\n")
    common = (TOPIC, "--config", "c.yaml", "--json")
    listed = json.loads(driftline("dlq", "list", *common).out)
    assert listed["reasons"] == {
        "bad_time": {"count": 1, "kept": 1, "replayed": 0},
        "missing_field": {"count": 1, "kept": 1, "replayed": 0},
        "text_field": {"count": 1, "kept": 0, "replayed": 0},
    }
    assert [each["offset"] for each in listed["letters"]] == [3, 4, 1]
    assert json.loads(driftline("dlq", "list", *common, "--since", "2999-01-01T00:00Z").out)["letters"] == []
    for arguments, sent in (
        (("--dry-run",), 0),
        (("--reason", "missing_field"), 1),
        ((), 1),
        ((), 0),
    ):
        assert json.loads(driftline("dlq", "replay", *common, *arguments).out)["sent"] == sent
    client = connect(library, patient)
    places = client.partitions([TOPIC])
    client.assign(dict.fromkeys(places, 0))
    found = []
    while sum(map(client.position, places)) < 2:
        for records in client.poll((), 0.2).values():
            found += records
    client.close()
    assert sorted((record.value, dict(record.headers)[REPLAYED]) for record in found) == [
        (b'{"a": 1}', f"{TOPIC}.dlq/0/0".encode()),
        (b'{"b": 2}', f"{TOPIC}.dlq/0/2".encode()),
    ]


def test_dead_letters_in_a_folder_are_sent_again_once(tmp_path: Path, driftline: Command) -> None:
    sink = FileSink(tmp_path / "out")
    sink.write_dead_letters(LETTERS)
    sink.flush()
    common = (TOPIC, "--from", "out", "--json")
    assert len(json.loads(driftline("dlq", "list", *common).out)["letters"]) == 3
    for sent in (2, 0):
        answer = driftline("dlq", "replay", *common, "--to", "in")
        assert json.loads(answer.out)["sent"] == sent
    lines = (tmp_path / "in" / TOPIC / f"replay-{TOPIC}.dlq.ndjson").read_bytes().splitlines()
    assert lines == [b'{"a": 1}', b'{"b": 2}']
    assert driftline("dlq", "replay", *common).code == 2
    assert driftline("dlq", "list", *common, "--since", "2026-01-01T00:00Z").code == 2
    assert driftline("dlq", "list", "no.topic", "--from", "out").code == 2
