"""The ClickHouse engine for tests: a folder or a server a module, a database a test.

A process has one folder of the embedded engine open, hence modules' own.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from operators.clickhouse import Store
from tests.clickhouse_server import Server

_numbers = itertools.count(1)
#: Ways to reach the engine: in this process, and over HTTP in one of its own.
WAYS = ("chdb", "http")


@contextmanager
def engine(way: str, folder: Path) -> Iterator[str]:
    """The URL, without a database, of an engine on a folder, up until the block ends."""
    if way == "chdb":
        with Store.open(f"chdb:{folder}"):  # keeps the engine up between tests
            yield f"chdb:{folder}"
    else:
        with Server(folder) as server:
            yield server.address


@contextmanager
def fresh(at: Path | str) -> Iterator[Store]:
    """A store on a new, migrated database of the engine in a folder, or at a URL."""
    url = at if isinstance(at, str) else f"chdb:{at}"
    with Store.open(url, f"test_{next(_numbers)}") as store:
        store.migrate()
        yield store


def count(store: Store, table: str) -> int:
    """Rows of a table, or of a table with ``FINAL``."""
    number: int = store.query(f"SELECT count() AS n FROM {table}")["n"][0].as_py()
    return number
