"""A process on a real Kafka tells what it does: ready, running, no data, running again, and stopped."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.reliability.topics import PATIENCE_S, recreate
from pipelines.stack import Stack
from pipelines.stack.ports import Ports
from tests.engines.broker import send, until
from tests.operators.adapters.memory import START_MS, request

TOPIC = "telemetry.requests.v1"
COMMANDS = {
    "local": ("driftline", "run", "--config", "run.yaml", "--engine", "local"),
    "beam": ("driftline", "run", "--config", "run.yaml", "--engine", "beam"),
    "faust": ("faust", "-A", "pipelines.faust_app", "worker", "-l", "info"),
}


class Process:
    """A pipeline, and what it answers."""

    def __init__(self, address: str, log: Path) -> None:
        self.url = f"http://{address}"
        self.log = log

    def state(self) -> str:
        """Of the answer to ``/readyz``, with its status; empty while nobody listens."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=60) as answer:
                return f"{answer.status} {json.load(answer)['state']}"
        except urllib.error.HTTPError as problem:
            return f"{problem.code} {json.load(problem)['state']}"
        except OSError:
            return ""

    def meters(self, name: str) -> dict[tuple[str, ...], float]:
        """Values by labels, in the order of the labels' names."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
            if sample.name == name
        }

    def samples(self) -> dict[tuple[str, ...], float]:
        """How many, by outcome, reason and topic."""
        return self.meters("driftline_samples_total")


@contextmanager
def process(engine: str, folder: Path, address: str) -> Iterator[Process]:
    log = folder / "log"
    program, *arguments = COMMANDS[engine]
    if engine == "faust":
        arguments += ["--web-port", str(Ports.free().kafka)]
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    environment = os.environ | {"DRIFTLINE_CONFIG": "run.yaml", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as out:
        running = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=out
        )
    try:
        yield Process(address, log)
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE_S) == 0, log.read_text()[-3000:]
    finally:
        running.kill()
        running.wait()


def config(stack: Stack, name: str, folder: Path) -> str:
    """Write one; where it says to listen."""
    address = f"127.0.0.1:{Ports.free().kafka}"
    (folder / "run.yaml").write_text(
        f"input: kafka://{stack.kafka}\n"
        f"clickhouse: {stack.clickhouse.rpartition('/')[0]}/{name}\n"
        f"kafka: {{group: {name}, topics: [{TOPIC}], client: confluent-kafka}}\n"
        f"observe: {address}\nlog_format: json\nwindows: {{idle: 3s}}\ncorrelate: 2s\n"
    )
    return address


def say(stack: Stack, seconds: range) -> None:
    """A sample a second; the records are of now, else the broker would clear them away."""
    values = [request(START_MS + second * 1000) for second in seconds]
    send(stack.kafka, TOPIC, values, time_ms=time.time_ns() // 1_000_000)


def test_processes_of_every_engine_tell_how_they_do(stack: Stack, tmp_path: Path) -> None:
    """All at once, as most of it is waiting."""
    stack.up("kafka", "clickhouse")
    recreate(stack.kafka, {TOPIC: 1})
    with ExitStack() as running:
        every = []
        for engine in COMMANDS:
            folder = tmp_path / engine
            folder.mkdir()
            address = config(stack, f"observed_{engine}", folder)
            every.append(running.enter_context(process(engine, folder, address)))
        for it in every:
            until(lambda it=it: it.state() == "200 no_data", "no data")
        say(stack, range(300))
        for it in every:
            until(lambda it=it: it.samples() == {("accepted", "", TOPIC): 300}, "the samples")
            assert sum(it.meters("driftline_records_total").values()) == 300
            until(lambda it=it: it.meters("driftline_lag_records") == {(f"{TOPIC}/0", TOPIC): 0}, "no lag")
            rows = "driftline_sink_rows_total"
            until(lambda it=it, rows=rows: it.meters(rows).get(("clickhouse",), 0) > 0, "rows delivered")
            assert it.meters("driftline_sink_milliseconds_count")["clickhouse",] > 0
            until(lambda it=it: it.state() == "200 no_data", "no data again")
        seconds = itertools.count(300)

        def goes_on(it: Process) -> bool:  # three seconds without a word would be no data again
            say(stack, range(now := next(seconds), now + 1))
            return it.state() == "200 running"

        for it in every:
            until(lambda it=it: goes_on(it), "telemetry again")
    for it in every:
        told = [_line(line) for line in it.log.read_text().splitlines()]
        states = [state for state, _ in itertools.groupby(line["state"] for line in told if "state" in line)]
        assert states[:2] == ["no_data", "running"]
        assert any(line.get("url") == it.url for line in told)


def test_a_process_tells_what_it_waits_for(stack: Stack, tmp_path: Path) -> None:
    stack.up("kafka", "clickhouse")
    recreate(stack.kafka, {TOPIC: 1})
    address = config(stack, "observed_waiting", tmp_path)
    with process("local", tmp_path, address) as it:
        say(stack, range(300))
        until(lambda: it.state().startswith("200"), "a process that is ready")
        for part, state in (("kafka", "source_away"), ("clickhouse", "store_away")):
            stack.kill(part)
            until(lambda state=state: it.state() == f"503 {state}", state)
            stack.up(part)
            until(lambda: it.state().startswith("200"), f"{part} again")
        until(lambda: it.samples() == {("accepted", "", TOPIC): 300}, "the samples")
    told = [_line(line)["message"] for line in it.log.read_text().splitlines()]
    assert any("the store has been away" in message for message in told)
    assert any("the store is back" in message for message in told)


def _line(text: str) -> dict[str, Any]:
    """A line of the log, which is JSON whoever wrote it."""
    return dict(json.loads(text))
