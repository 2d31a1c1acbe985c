"""Bring the tables up to date: each file of `schemas/ddl` once, in order.

A file holds statements that end with ``;`` at a line's end, ``{database}`` where the database's name belongs,
and may begin with ``-- requires: VERSION``: on an older server it waits. Statements can be applied again, so
that a migration that broke off half-way is simply run again.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from operators.store_errors import StoreError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_REQUIRES = re.compile(r"\A-- requires: ([\d.]+)$", re.M)


class Database(Protocol):
    """The part of a store that migrations need."""

    @property
    def database(self) -> str: ...  # noqa: D102
    @property
    def server_version(self) -> tuple[int, ...]: ...  # noqa: D102
    def command(self, sql: str) -> Any: ...  # noqa: D102
    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table: ...  # noqa: D102
    def insert(self, table: str, rows: pa.Table, token: str) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def requires(self) -> tuple[int, ...]:
        """The oldest server version it can be applied on; empty if any."""
        match = _REQUIRES.search(self.sql)
        return tuple(int(part) for part in match.group(1).split(".")) if match else ()

    def statements(self, database: str) -> list[str]:
        """Its statements for one database, without comment lines."""
        lines = (line for line in self.sql.splitlines() if not line.lstrip().startswith("--"))
        text = "\n".join(lines).replace("{database}", database)
        return [part.strip().rstrip(";") for part in re.split(r";\s*$", text, flags=re.M) if part.strip()]


def load(folder: "Traversable | None" = None) -> list[Migration]:
    """The migrations of a folder (default: driftline's own), by number."""
    named = (
        (_NAME.fullmatch(file.name), file) for file in (folder or files("schemas").joinpath("ddl")).iterdir()
    )
    found = [
        Migration(int(match.group(1)), match.group(0).removesuffix(".sql"), file.read_text("utf-8"))
        for match, file in named
        if match
    ]
    return sorted(found, key=lambda migration: migration.version)


def migrate(store: Database, migrations: Sequence[Migration]) -> list[str]:
    """Apply what is not applied yet; returns the names.

    Needs only the right to read when there is nothing to do.

    Raises:
        StoreError: an applied migration was changed since, the database is newer than this driftline, or
            ClickHouse refuses a statement.
    """
    applied = _applied(store)
    known = {migration.version: migration for migration in migrations}
    for version, (name, checksum) in sorted(applied.items()):
        if version not in known:
            raise StoreError(
                f"database {store.database} has migration {name}, which this driftline does not know: "
                "it was migrated by a newer one; use that one"
            )
        if known[version].checksum != checksum:
            raise StoreError(
                f"migration {name} was changed after it was applied to database {store.database}: "
                "restore the file, and put the change into a new migration"
            )
    done = []
    for migration in migrations:
        if migration.version in applied or migration.requires > store.server_version:
            continue
        for statement in migration.statements(store.database):
            store.command(statement)
        row = {"version": migration.version, "name": migration.name, "checksum": migration.checksum}
        store.insert("schema_migrations", pa.Table.from_pylist([row]), token=migration.checksum)
        done.append(migration.name)
    return done


def _applied(store: Database) -> dict[int, tuple[str, str]]:
    exists = "SELECT count() FROM system.tables WHERE database = {db:String} AND name = 'schema_migrations'"
    if not store.query(exists, {"db": store.database})[0][0].as_py():
        return {}
    table = store.query(
        f"SELECT version, name, checksum FROM {store.database}.schema_migrations FINAL"  # noqa: S608
    )
    return {row["version"]: (row["name"], row["checksum"]) for row in table.to_pylist()}
