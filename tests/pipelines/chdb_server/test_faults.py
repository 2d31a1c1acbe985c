"""The store's server killed, frozen, away or full: every row is in once, and the log says what waits."""

import logging
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from operators.clickhouse import Store, StoreAway, StoreError
from operators.emission import Emission
from operators.outage import wait_out
from operators.sinks import ClickHouseSink
from schemas import rows
from tests.clickhouse_server import Server
from tests.engines.broker import until
from tests.outputs import T0, event

BATCHES = 40
A_BATCH = 50
KILLS = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "engine") as running, Store.open(running.url) as store:
        store.migrate()
        yield running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.outage.PAUSE_S", 0.1)
    monkeypatch.setattr("operators.clickhouse._ATTEMPTS", 2)


def batch(number: int) -> pa.Table:
    """Events of several days: an insert of several parts."""
    first = number * A_BATCH
    return rows.events_table(
        [event(1 + n, window_start=T0 + n % 3 * 86_400_000) for n in range(first, first + A_BATCH)]
    )


def counts(store: Store) -> tuple[int, int]:
    """Rows as they lie there, and under FINAL."""
    raw, final = (
        store.query(f"SELECT count() AS n FROM anomaly_events {final}")["n"][0].as_py()
        for final in ("", "FINAL")
    )
    return raw, final


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_amid_a_stream_of_inserts_every_row_is_in_once(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    done = threading.Event()

    def kill() -> None:
        for _ in range(KILLS):
            if done.wait(chance.uniform(0.05, 0.6)):
                return
            server.kill()
            server.start()

    with Store.open(server.url) as store:
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            for number in range(BATCHES):
                insert = partial(store.insert, "anomaly_events", batch(number), f"batch {number}")
                wait_out(insert, threading.Event(), "a batch")
        finally:
            done.set()
            killer.join()
        assert counts(store) == (BATCHES * A_BATCH, BATCHES * A_BATCH)


def test_a_token_that_outlived_its_rows_drops_no_row(server: Server) -> None:
    with Store.open(server.url) as store:
        store.insert("anomaly_events", batch(0), "first")
        server.kill()
        # as a kill between the log of tokens and the part's own name leaves it
        parts = (server.folder / "store").glob("*/*/2026*_*_*_*")
        shutil.rmtree(max(parts, key=lambda part: int(part.name.split("_")[2])))
        server.start()
        assert 0 < counts(store)[0] < A_BATCH
        store.insert("anomaly_events", batch(0), "first")
        assert counts(store) == (A_BATCH, A_BATCH)


def test_an_insert_that_the_client_gave_up_on_counts_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened() -> Store | None:
        try:
            return Store.open(server.url)
        except StoreAway:  # not within its second
            return None

    with Store.open(server.url) as store:
        monkeypatch.setattr("operators.clickhouse._SILENCE_S", 1)
        with until(opened, "a store of little patience") as hasty:
            server.send(signal.SIGSTOP)
            with pytest.raises(StoreAway, match="insert of 50 rows"):
                hasty.insert("anomaly_events", batch(0), "slow")  # lies in the frozen server's socket
        server.send(signal.SIGCONT)
        store.insert("anomaly_events", batch(0), "slow")
        assert counts(store) == (A_BATCH, A_BATCH)


def test_a_sink_waits_says_so_and_loses_nothing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with Store.open(server.url) as store:
        sink = ClickHouseSink(store, "hash")
        server.kill()
        sink.write(Emission(shard=0, events=(event(1), event(2))))
        flushing = threading.Thread(target=sink.flush)

        def told() -> list[str]:
            return [record.getMessage() for record in caplog.records if record.name == "operators.outage"]

        with caplog.at_level(logging.WARNING):
            flushing.start()
            until(told, "a word of it")
            server.start()
            flushing.join(600)
        assert not flushing.is_alive()
        assert counts(store) == (2, 2)
    away, *_, back = told()  # said again every half minute
    assert "waiting: 2 rows" in away
    assert server.url in away
    assert back.startswith("the store is back after")


def test_a_run_that_is_to_stop_does_not_wait(server: Server) -> None:
    stop = threading.Event()
    with Store.open(server.url) as store:
        sink = ClickHouseSink(store, "hash", stop=stop)
        server.kill()
        sink.write(Emission(shard=0, events=(event(1),)))
        stop.set()
        with pytest.raises(StoreAway, match="when the run was to stop"):
            sink.flush()
        server.start()
        sink.flush()
        assert counts(store) == (1, 1)


def test_what_will_never_be_taken_is_said_at_once(server: Server) -> None:
    with Store.open(server.url) as store:
        sink = ClickHouseSink(store, "hash")
        store.command("DROP TABLE anomaly_events")
        sink.write(Emission(shard=0, events=(event(1),)))
        with pytest.raises(StoreError, match="anomaly_events") as caught:
            sink.flush()
        assert not isinstance(caught.value, StoreAway)


def test_a_full_disk_is_waited_out(tmp_path: Path) -> None:
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("no mount namespaces here, hence no small disk")
    script = Path(__file__).with_name("full_disk.py")
    small = f'mount -t tmpfs -o size=64m tmpfs "$0" && exec "{sys.executable}" "{script}" "$0"'
    command = ["unshare", "-rm", "sh", "-c", small, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "waiting: 1000 rows" in done.stderr
