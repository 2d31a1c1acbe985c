"""Secrets come from the environment or a file and are shown nowhere; wrong configs are told at once."""

import base64
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.acceptance.command import Answer, start

PASSWORD = "zq-clickhouse-password-qz"
KAFKA_PASSWORD = "zq-kafka-password-qz"


class Refuses(BaseHTTPRequestHandler):
    """A ClickHouse that knows nobody by that password."""

    seen: list[str] = []

    def do_POST(self) -> None:
        self.seen.append(str(self.headers))
        text = b"Code: 516. DB::Exception: watcher: Authentication failed. (AUTHENTICATION_FAILED)"
        self.send_response(403)
        self.send_header("X-ClickHouse-Exception-Code", "516")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def answers(port: int, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Answer], str]:
    """What the commands that use secrets said, all at once, and what a list of processes showed meanwhile."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "in").mkdir()
    (folder / "kafka.password").write_text(KAFKA_PASSWORD + "\n")
    (folder / "kafka.yaml").write_text(
        "input: kafka://127.0.0.1:9\nclickhouse: chdb:db\nengine: local\nkafka:\n"
        "  security_protocol: SASL_PLAINTEXT\n  sasl_mechanism: PLAIN\n  password_file: kafka.password\n"
    )
    (folder / "store.yaml").write_text(
        (folder / "kafka.yaml").read_text().replace("chdb:db", f"http://127.0.0.1:{port}/x")
    )
    environment = {
        "DRIFTLINE_CLICKHOUSE_USER": "watcher",
        "DRIFTLINE_CLICKHOUSE_PASSWORD": PASSWORD,
        "DRIFTLINE_KAFKA_USERNAME": "watcher",
    }
    running = {
        name: start(folder, *name.split(), environment=environment)
        for name in (
            "run --config kafka.yaml --until-end",
            "run --config store.yaml --until-end",
            "check kafka.yaml",
            "check store.yaml --json",
            "doctor --config store.yaml",
        )
    }
    shown = ""
    while any(each.poll() is None for each in running.values()):
        shown += "".join(
            path.read_text(errors="replace")
            for each in running.values()
            if (path := Path(f"/proc/{each.pid}/cmdline")).exists()
        )
        time.sleep(0.2)
    return {name: each.answer() for name, each in running.items()}, shown


def test_no_secret_is_shown(answers: tuple[dict[str, Answer], str]) -> None:
    said, shown = answers
    for name, answer in said.items():
        for secret in (PASSWORD, KAFKA_PASSWORD):
            assert secret not in answer.out + answer.err + shown, name
    used = base64.b64encode(f"watcher:{PASSWORD}".encode()).decode()
    assert any(used in headers for headers in Refuses.seen)


def test_what_cannot_be_reached_is_said_in_one_line(
    answers: tuple[dict[str, Answer], str], port: int
) -> None:
    said = answers[0]
    doctor = said["doctor --config store.yaml"]
    assert (doctor.code, doctor.err) == (1, "")
    for name, place in (("kafka", "127.0.0.1:9 cannot be reached"), ("store", f"http://127.0.0.1:{port}/x")):
        answer = said[f"run --config {name}.yaml --until-end"]
        assert answer.code == 1
        assert answer.err.startswith("driftline: ")
        assert answer.err.count("\n") == 1
        assert place in answer.err
        assert place in doctor.out
    assert "AUTHENTICATION_FAILED" in said["run --config store.yaml --until-end"].err
    assert {said[name].code for name in said if name.startswith("check")} == {0}


def test_a_wrong_config_names_the_field_and_what_would_be_right(tmp_path: Path) -> None:
    wrong = {
        "input: in\nwindows:\n  bukket: 10s\n": ("c.yaml:3", "windows.bukket", "did you mean 'bucket'"),
        f"kafka: {{password: {KAFKA_PASSWORD}}}\n": ("c.yaml:1", "kafka.password", "_file"),
        f"clickhouse: http://me:{PASSWORD}@h/x\n": (
            "c.yaml:1",
            "clickhouse",
            "DRIFTLINE_CLICKHOUSE_PASSWORD",
        ),
    }
    running = []
    for number, text in enumerate(wrong):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "c.yaml").write_text(text)
        command = ("run", "--until-end", "--config") if number == 0 else ("check",)
        running.append(start(folder, *command, "c.yaml"))
    for process, says in zip(running, wrong.values(), strict=True):
        answer = process.answer()
        assert answer.code == 2
        assert [part for part in says if part not in answer.err] == []
        assert "Traceback" not in answer.err
        assert PASSWORD not in answer.err
        assert KAFKA_PASSWORD not in answer.err
