"""``driftline produce``: a folder of telemetry into a real broker, each partition as it lies there."""

import json
from pathlib import Path

import pytest

from benchmarks.reliability.topics import recreate, remove
from operators.adapters.kafka import CLIENTS, KafkaOptions, connect
from operators.sources.files import partitions
from pipelines.produce import produce
from pipelines.stack import Stack
from schemas.topics import INPUT_TOPICS
from tests.acceptance.command import here
from tests.contract.recording import write
from tests.engines.broker import until


@pytest.fixture
def options(stack: Stack) -> KafkaOptions:
    """A broker without any of the topics that a recording has."""
    stack.up("kafka")
    remove(stack.kafka, INPUT_TOPICS)
    return KafkaOptions(servers=stack.kafka, bootstrap_timeout_s=180.0, timeout_s=180.0)


@pytest.mark.parametrize("library", sorted(CLIENTS))
def test_each_partition_arrives_as_it_lies_in_its_folder(
    options: KafkaOptions, library: str, tmp_path: Path
) -> None:
    write(tmp_path)
    there = {
        (each.topic, int(each.name.rpartition("/")[2])): [one.value for some in each.read() for one in some]
        for each in partitions(tmp_path)
    }
    recreate(options.servers, {topic: 2 for topic, _ in there})
    sent = produce(tmp_path, options, library)
    assert sent.total() == sum(map(len, there.values()))
    client = connect("kafka-python", options)
    client.assign(dict.fromkeys(there, 0))
    found: dict[tuple[str, int], list[bytes]] = {place: [] for place in there}

    def arrived() -> bool:
        for place, records in client.poll((), 0.2).items():
            found[place] += [record.value for record in records]
        return sum(map(len, found.values())) >= sent.total()

    until(arrived, "all that was sent")
    client.close()
    assert found == there


def test_topics_that_are_not_there_are_named_and_nothing_is_sent(
    options: KafkaOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "telemetry.gpu.v1").mkdir(parents=True)
    (tmp_path / "in" / "telemetry.gpu.v1" / "a.ndjson").write_text('{"event_time": 1}\n{"event_time": 2}\n')
    command = ("produce", "in", "--kafka", f"kafka://{options.servers}", "--rate", "1000", "--json")
    refused = here(tmp_path, *command, monkeypatch=monkeypatch, capfd=capfd)
    assert refused.code == 2
    assert "telemetry.gpu.v1/0" in refused.err
    recreate(options.servers, {"telemetry.gpu.v1": 1})
    done = here(tmp_path, *command, monkeypatch=monkeypatch, capfd=capfd)
    assert (done.code, json.loads(done.out)) == (0, {"sent": {"telemetry.gpu.v1": 2}})
