"""The embedded ClickHouse for tests: a folder a module (a process has one open), a database a test."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from operators.clickhouse import Store

_numbers = itertools.count(1)


@contextmanager
def fresh(folder: Path) -> Iterator[Store]:
    """A store on a new, migrated database of the engine in ``folder``."""
    with Store.open(f"chdb:{folder}", f"test_{next(_numbers)}") as store:
        store.migrate()
        yield store
