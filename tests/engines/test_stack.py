"""The stack as its users have it: real servers, killed and started again, found by their command."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer

from benchmarks.reliability.outcome import read
from pipelines.stack import Ports, Stack, StackError, namespace
from tests.engines.broker import make_topic, send

DRIFTLINE = str(Path(sys.executable).with_name("driftline"))


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DRIFTLINE, "stack", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Stack]:
    """A stack of the test's own."""
    stack = Stack(tmp_path / "own")
    try:
        yield stack
    finally:
        stack.down()


def test_records_outlive_a_broker_that_is_killed(stack: Stack) -> None:
    stack.up("kafka")
    topic, sent = make_topic(stack.kafka), [str(number).encode() for number in range(100)]
    send(stack.kafka, topic, sent)

    assert stack.kill("kafka") == 1
    killed = {one.name: one for one in stack.status()}["kafka"]
    assert (killed.running, killed.healthy, killed.pid, killed.memory) == (False, False, None, 0)
    with pytest.raises(StackError, match="kafka does not run"):
        stack.kill("kafka")

    stack.up("kafka")
    assert [value for _, value in read(stack.kafka, [(topic, 0)])[topic, 0]] == sent


def test_a_misspelt_topic_is_not_made(stack: Stack) -> None:
    stack.up("kafka")
    with KafkaConsumer(bootstrap_servers=stack.kafka) as consumer:
        assert not consumer.partitions_for_topic("telemetry.request.v1")
        assert "telemetry.request.v1" not in consumer.topics()


def test_a_cluster_comes_back_after_all_of_it_was_killed(stack: Stack) -> None:
    if not namespace.alone():
        pytest.skip("Beam's servers listen on every interface: `make test` gives them a network of their own")
    stack.up("flink")
    names = [one.name for one in stack.status() if one.part == "flink"]
    assert names == ["jobmanager", "taskmanager-0", "job-server", "worker-pool-0"]
    for name in names:
        stack.kill(name)
    assert not any(one.running for one in stack.status() if one.part == "flink")
    stack.up("flink")
    found = [one for one in stack.status() if one.part == "flink"]
    assert [one.name for one in found if one.healthy] == names
    # what is given to Beam is what listens
    given = dict(option.lstrip("-").split("=") for option in stack.flink_options())
    for endpoint in ("job_endpoint", "artifact_endpoint", "environment_config"):
        host, port = given[endpoint].split(":")
        socket.create_connection((host, int(port)), timeout=5).close()


def test_servers_listen_on_loopback_alone(stack: Stack) -> None:
    stack.up("kafka", "clickhouse")
    for one in stack.status():
        if one.part != "flink" and one.pid:
            sockets = psutil.Process(one.pid).net_connections(kind="tcp")
            listening = {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}
            # Java says the same of IPv4 within IPv6
            assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}, one.name
            assert listening, one.name


def test_up_twice_starts_nothing_anew(stack: Stack) -> None:
    stack.up("kafka")
    before = [one.pid for one in stack.status()]
    stack.up("kafka")
    assert [one.pid for one in Stack(stack.folder).status()] == before


def test_a_taken_port_is_named(small: Stack) -> None:
    port = small.ports.clickhouse
    said = pytest.raises(StackError, match=f"something else listens on 127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", port)), said:
        small.up("clickhouse")
    assert small.status() == []


def test_a_process_that_ends_is_said_with_its_last_lines(small: Stack) -> None:
    (small.folder).mkdir()
    (small.folder / "clickhouse").write_text("a file where the engine's folder should be")
    with pytest.raises(StackError, match=r"clickhouse ended; the last of .*clickhouse.log:\n"):
        small.up("clickhouse")


def test_a_reused_process_id_is_left_alone(small: Stack) -> None:
    small.up("clickhouse")
    small.kill("clickhouse")
    innocent = subprocess.Popen(["sleep", "infinity"])
    try:
        file = small.folder / "stack.json"
        state = json.loads(file.read_bytes())
        state["pids"]["clickhouse"] = innocent.pid
        file.write_text(json.dumps(state))
        assert not Stack(small.folder).status()[0].running
        small.down()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_the_command_brings_up_shows_reaches_and_takes_down(tmp_path: Path) -> None:
    try:
        up = command(tmp_path, "up", "clickhouse", "--free-ports")
        assert up.returncode == 0, up.stderr
        assert re.search(r"clickhouse +healthy", up.stdout)

        status = command(tmp_path, "status", "--json")
        shown = json.loads(status.stdout)
        assert (status.returncode, shown["processes"][0]["healthy"]) == (0, True)

        asked = command(
            tmp_path, "exec", "--", DRIFTLINE, "query", "select 6 * 7 as answer", "--format", "csv"
        )
        assert asked.stdout.split() == ["answer", "42"], asked.stderr

        os.kill(shown["processes"][0]["pid"], signal.SIGKILL)
        assert command(tmp_path, "status").returncode == 1
        assert command(tmp_path, "up", "clickhouse").returncode == 0
    finally:
        down = command(tmp_path, "down")
    assert down.stdout == "ended: clickhouse\n"
    assert command(tmp_path, "status").returncode == 1


def test_a_stack_of_its_own_network_is_seen_from_nowhere_else(tmp_path: Path) -> None:
    if not namespace.allowed():
        pytest.skip("this system allows no network namespace")
    try:
        up = command(tmp_path, "up", "clickhouse", "--isolated", "--json")
        assert up.returncode == 0, up.stderr
        shown = json.loads(up.stdout)
        assert shown["clickhouse"] == f"http://127.0.0.1:{Ports().clickhouse}/driftline"
        listening = {each.laddr.port for each in psutil.net_connections(kind="tcp") if not each.raddr}
        assert Ports().clickhouse not in listening
        look = "import psutil; print(*psutil.net_if_addrs())"
        assert command(tmp_path, "exec", "--", sys.executable, "-c", look).stdout.split() == ["lo"]
        assert command(tmp_path, "status").returncode == 0
    finally:
        command(tmp_path, "down")
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(shown["namespace"]).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up", "kafak"), "kafak: no such part; there are kafka, flink, clickhouse"),
        (("status",), "no stack here"),
        (("down", "--dir", "elsewhere"), "elsewhere: no stack here"),
    ],
)
def test_wrong_use_is_said(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    answer = command(tmp_path, *arguments)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    without_java = command(tmp_path, "up", "kafka", "--dir", "s")
    assert (without_java.returncode, without_java.stderr.splitlines()[-1]) == (
        1,
        "driftline: java is not on the PATH: Kafka and Flink need Java 17, any vendor's",
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    without_maven = command(tmp_path, "fetch")
    assert without_maven.returncode == 1
    assert "mvn is not on the PATH" in without_maven.stderr
