"""The HTTP front on the embedded engine: what clients read, what they are told, and how it comes and goes."""

import gzip
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import clickhouse_connect
import pyarrow as pa
import pytest
import urllib3

from operators.clickhouse import Store, StoreAway, StoreError
from tests.clickhouse_server import Server, free_port
from tests.engines.broker import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
def table(server: Server, request: pytest.FixtureRequest) -> str:
    name = f"t{abs(hash(request.node.name))}"
    post(server, f"CREATE TABLE {name} (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    return name


def send(
    server: Server,
    body: str | bytes,
    headers: dict[str, str] | None = None,
    method: str = "POST",
    **parameters: str,
) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager() as pool:
        return pool.request(method, f"{server.address}/?{urlencode(parameters)}", body=body, headers=headers)


def post(server: Server, body: str | bytes, headers: dict[str, str] | None = None, **parameters: str) -> str:
    answer = send(server, body, headers, **parameters)
    assert answer.status == 200, answer.data
    return answer.data.decode()


def test_it_is_alive(server: Server) -> None:
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", f"{server.address}/ping").data == b"Ok.\n"


def test_a_query_may_stand_in_the_url_or_the_body(server: Server) -> None:
    assert post(server, "SELECT 1, 'a'") == "1\ta\n"
    assert post(server, "", query="SELECT 1 FORMAT CSV") == "1\n"
    assert post(server, "SELECT 2 AS n", default_format="JSONEachRow") == '{"n":2}\n'


def test_parameters_and_settings_hold_for_one_request(server: Server) -> None:
    assert (
        post(server, "SELECT {a:String}, {b:Array(UInt8)}", param_a="it's", param_b="[1,2]")
        == "it\\'s\t[1,2]\n"
    )
    assert post(server, "SELECT getSetting('max_threads')", max_threads="3") == "3\n"
    assert post(server, "SELECT getSetting('max_threads') = 3") == "0\n"
    assert post(server, "SELECT currentDatabase()", database="system") == "system\n"


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELECT * FROM nowhere", 404, 60),
        ("SELECT no_such_column", 404, 47),
        ("SELECT 1 +", 400, 62),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1 SETTINGS no_such_setting = 1", 404, 115),
    ],
)
def test_a_refusal_has_clickhouses_status_code_and_words(
    server: Server, statement: str, status: int, code: int
) -> None:
    answer = send(server, statement)
    assert answer.status == status
    assert answer.headers["X-ClickHouse-Exception-Code"] == str(code)
    assert answer.data.startswith(f"Code: {code}. DB::Exception: ".encode())


def test_a_request_that_may_only_read_changes_nothing(server: Server, table: str) -> None:
    for answer in (
        send(server, f"DROP TABLE {table}", readonly="1"),
        send(server, "", method="GET", query=f"DROP TABLE {table}"),
        send(server, "", method="GET", query=f"DROP TABLE {table}", readonly="0"),
    ):
        assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    assert post(server, f"EXISTS {table}") == "1\n"


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("lz4", partial(pa.compress, codec="lz4", asbytes=True)),
        ("zstd", partial(pa.compress, codec="zstd", asbytes=True)),
    ],
)
def test_rows_come_plain_or_compressed(server: Server, table: str, encoding: str, compress: object) -> None:
    rows = "".join(f'{{"n": {n}, "s": "FORMAT CSV\\n"}}\n' for n in range(1000))
    body = compress(rows.encode())  # type: ignore[operator]
    post(server, body, {"Content-Encoding": encoding}, query=f"INSERT INTO {table} (n, s) FORMAT JSONEachRow")
    assert post(server, f"SELECT count(), sum(n), any(s) FROM {table}") == "1000\t499500\tFORMAT CSV\\n\n"


def test_inserts_come_in_every_spelling(server: Server, table: str) -> None:
    post(server, f"INSERT INTO {table} VALUES (1, 'INSERT INTO x FORMAT CSV')")
    post(server, f"insert into default.`{table}` (`n`, s) settings insert_deduplicate = 0 format CSV\n2,b\n")
    post(server, "3,c\n", query=f"INSERT INTO TABLE {table} (n, s) FORMAT CSV")
    post(server, f"INSERT INTO {table} SELECT number, 'x' FROM numbers(4, 2)")
    assert post(server, f"SELECT sum(n), count() FROM {table}") == "15\t5\n"


def test_damaged_rows_are_refused_and_none_is_kept(server: Server, table: str) -> None:
    answer = send(server, f'INSERT INTO {table} FORMAT JSONEachRow\n{{"n": 1}}\n{{"n": "one"}}\n')
    assert answer.status == 400
    assert post(server, f"SELECT count() FROM {table}") == "0\n"
    answer = send(server, b"no lz4", {"Content-Encoding": "lz4"}, query=f"INSERT INTO {table} FORMAT CSV")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "271"


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_clickhouse_connect_is_at_home(server: Server, table: str, compress: str | bool) -> None:
    with clickhouse_connect.get_client(host="127.0.0.1", port=server.port, compress=compress) as client:
        summary = client.insert(table, [[1, "a\0b"], [2, "c"]], column_names=["n", "s"])
        assert summary.written_rows == 2
        found = client.query(f"SELECT * FROM {table} WHERE n >= {{least:UInt64}} ORDER BY n", {"least": 1})
        assert found.result_rows == [(1, "a\0b"), (2, "c")]
        assert client.query(f"SELECT * FROM {table} LIMIT 0").column_names == ("n", "s")
        assert client.query(f"SELECT * FROM {table} WHERE n = 7").result_rows == []
        assert client.command(f"SELECT count() FROM {table}") == 2
        assert client.query_arrow(f"SELECT n FROM {table} WHERE n = 7").num_rows == 0


def test_requests_run_side_by_side(server: Server) -> None:
    answers: list[bool] = []
    both = threading.Barrier(4)

    def ask() -> None:
        both.wait()
        # passes only while others run too: each waits for four rows that all four write
        post(server, "INSERT INTO meeting VALUES (1)")

        def met() -> bool:
            return post(server, "SELECT count(), sleep(0.05) FROM meeting").startswith("4")

        answers.append(until(met, "the other three"))

    post(server, "CREATE TABLE meeting (n UInt8) ENGINE = Memory")
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4


def test_a_web_page_is_not_served(server: Server) -> None:
    assert send(server, "SELECT 1", {"Origin": "http://elsewhere.example"}).status == 403
    # one whose own name leads here
    refused = send(server, "SELECT 1", {"Host": f"elsewhere.example:{server.port}"})
    assert (refused.status, b"nothing here is called elsewhere.example" in refused.data) == (403, True)
    for name in ("localhost", f"LOCALHOST:{server.port}", f"127.0.0.1:{server.port}", "[::1]:8123"):
        assert post(server, "SELECT 1", {"Host": name}) == "1\n"


def test_a_password_is_asked_for_where_one_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(tmp_path, environment={"DRIFTLINE_CLICKHOUSE_PASSWORD": "hunter2"}) as server:
        with pytest.raises(StoreError, match="516") as caught:
            Store.open(server.url)
        assert not isinstance(caught.value, StoreAway)
        monkeypatch.setenv("DRIFTLINE_CLICKHOUSE_PASSWORD", "hunter2")
        with Store.open(server.url) as store:
            assert store.query("SELECT 1 AS n")["n"].to_pylist() == [1]
        # a file, with the line end that an editor leaves, goes before the variable
        (tmp_path / "secret").write_text("hunter2\n")
        monkeypatch.setenv("DRIFTLINE_CLICKHOUSE_PASSWORD", "another")
        monkeypatch.setenv("DRIFTLINE_CLICKHOUSE_PASSWORD_FILE", str(tmp_path / "secret"))
        Store.open(server.url).close()


def test_it_listens_on_loopback_alone(server: Server) -> None:
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
    assert [at for at in listening if at.endswith(f":{server.port:04X}")] == [f"0100007F:{server.port:04X}"]


def start_and_fail(folder: Path, port: int) -> str:
    command = [sys.executable, "-m", "pipelines.chdb_server", "--path", str(folder), "--port", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_held_folder_or_port_is_said(server: Server, tmp_path: Path) -> None:
    assert "is held by process" in start_and_fail(server.folder, free_port())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "in use" in start_and_fail(tmp_path, taken.getsockname()[1])


def test_sigterm_ends_it_cleanly_and_all_is_there_again(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        post(server, "CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n")
        post(server, "INSERT INTO kept VALUES (7)")
        assert server.kill(signal.SIGTERM) == 0
        server.start()
        assert post(server, "SELECT n FROM kept") == "7\n"


def test_what_was_begun_is_done_before_it_ends(tmp_path: Path) -> None:
    slow = "INSERT INTO t SELECT number + 0 * sleepEachRow(0.1) FROM numbers({}) SETTINGS max_block_size = 1"
    with Server(tmp_path / "engine") as server:
        post(server, "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
        answers: list[int] = []
        running = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT%'"
        seen, sizes = False, (15, 60, 240)
        for asked, rows in enumerate(sizes, 1):  # one that is over before anybody looked says nothing
            insert = threading.Thread(
                target=lambda n=rows: answers.append(send(server, slow.format(n)).status)
            )
            insert.start()
            while not seen and len(answers) < asked:
                seen = post(server, running) == "1\n"
            if seen:
                break
            insert.join()
        assert seen
        assert server.kill(signal.SIGTERM) == 0
        insert.join()
        assert set(answers) == {200}
        server.start()
        assert post(server, "SELECT count() FROM t") == f"{sum(sizes[: len(answers)])}\n"
