"""In a mount namespace, on a disk of 64 MiB: fill it, insert, make room; run by `test_faults`."""

import logging
import sys
import threading
from contextlib import suppress
from pathlib import Path

from operators.clickhouse import Store
from operators.outage import wait_out
from schemas import rows
from tests.clickhouse_server import Server
from tests.outputs import event

ROWS = 1000


class Told(logging.Handler):
    """Notes that something was said."""

    def __init__(self) -> None:
        super().__init__()
        self.once = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Whatever it was."""
        del record
        self.once.set()


def main(disk: Path) -> None:
    """Ends with an error unless every row is in once."""
    logging.basicConfig(level=logging.WARNING)
    ballast = disk / "ballast"
    many = rows.events_table([event(n) for n in range(ROWS)])
    with Server(disk / "engine") as server, Store.open(server.url) as store:
        store.migrate()
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"0" * 65_536)
        inserting = threading.Thread(
            target=wait_out,
            args=(lambda: store.insert("anomaly_events", many, "many"), threading.Event(), f"{ROWS} rows"),
        )
        told = Told()
        logging.getLogger("operators.outage").addHandler(told)
        inserting.start()
        assert told.once.wait(600)  # after the client's own tries, which last as long as the machine is slow
        assert inserting.is_alive()
        ballast.unlink()
        inserting.join(600)
        assert not inserting.is_alive()
        assert store.query("SELECT count() AS n FROM anomaly_events")["n"].to_pylist() == [ROWS]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
