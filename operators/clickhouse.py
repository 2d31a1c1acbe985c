"""The store: one ClickHouse, embedded in a folder or behind HTTP, with the same calls.

Credentials come from the environment or a file alone, never from the URL.
Only this module talks to clickhouse-connect.
"""

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from operators import engine_lock, migrations
from operators.store_address import Address, parse_url
from operators.store_errors import StoreAway, StoreBusy, StoreError, StoreMissing, StoreUrlError

__all__ = ["Store", "StoreAway", "StoreBusy", "StoreError", "StoreMissing", "StoreUrlError"]

_CONNECT_S = 5
#: Longest silence of the server in one call. Until then an insert may yet be taken; then it is tried again.
_SILENCE_S = 60
#: Within a call a hiccup is bridged: so many attempts, and none once so many seconds have passed.
_ATTEMPTS = 6
_BRIDGED_S = 10
#: ClickHouse error codes that may pass by themselves: timeouts, network, too many queries or parts, a quota's
#: interval, memory, a full disk (243, or 75 in mid-write), a shutdown, a replica that is read-only or unsure.
#: An insert is tried again under its token, so that it counts once.
_TRANSIENT = {75, 159, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 285, 319, 425, 439, 745, 999}
#: HTTP statuses by which a proxy in between says the same; they come without a ClickHouse code.
_PROXY_BUSY = {429, 502, 503, 504}
_ENUM = re.compile(r"(?:Nullable\()?Enum8\((.*?)\)+")
_DATETIME = re.compile(r"(?:Nullable\()?DateTime(?:\('[^']*'\))?\)?")
_ENUM_ITEM = re.compile(r"'((?:[^'\\]|\\.)*)' = (-?\d+)")
T = TypeVar("T")


class Store:
    """A connection to one database of one ClickHouse; safe to use from several threads.

    Stores of one process share its embedded engine, which can have one folder open at a time.
    """

    def __init__(self, address: Address, client: Any, release: Callable[[], None]):
        self.address = address
        self._client = client
        self._release = release

    @classmethod
    def open(cls, url: str, database: str | None = None, *, make: bool = True) -> "Store":
        """Open the store at ``url`` (``chdb:PATH`` or ``http(s)://HOST:PORT/DB``).

        Args:
            url: where it is.
            database: another than the URL's.
            make: begin a store where a folder holds none, as whoever writes one must.

        Raises:
            StoreUrlError: the URL is wrong or holds credentials.
            StoreMissing: there is none, and none is to be made.
            StoreBusy: another process, which the message names, has the folder open.
            StoreError: ClickHouse cannot be reached, or refuses.
        """
        address = parse_url(url, database)
        release: Callable[[], None] = lambda: None  # noqa: E731
        if address.path is not None:
            if not make and not Path(address.path, "metadata").is_dir():
                raise StoreMissing(f"{address}: no store is there; a run makes one, and so does migrate")
            release = engine_lock.acquire(address.path)
        try:
            store = cls(address, _retry(address, "connecting", lambda: _connect(address)), release)
            store._use_database()
        except BaseException:
            release()
            raise
        return store

    @property
    def database(self) -> str:
        """Name of the database."""
        return self.address.database

    @property
    def server_version(self) -> tuple[int, ...]:
        """Version of the server, such as ``(26, 9, 2, 1)``."""
        return tuple(int(part) for part in re.findall(r"\d+", self._client.server_version)[:4])

    def migrate(self) -> list[str]:
        """Bring the tables up to date; returns the names of the migrations applied now."""
        applied = migrations.migrate(self, migrations.load())
        self._use_database()
        return applied

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> pa.Table:
        """Run a query; enums come as strings, UUIDs as Arrow's extension type, times as timestamps.

        Args:
            sql: one statement that returns rows.
            parameters: values for ``{name:Type}`` placeholders.
            settings: ClickHouse settings of this query.

        Raises:
            StoreAway: ClickHouse is away, still after a few attempts.
            StoreError: it refuses, in its own words.
        """
        sql = sql.strip().rstrip(";")
        bound = dict(parameters or {})
        table = _retry(
            self.address,
            "query",
            lambda: self._client.query_arrow(
                sql, parameters=bound or None, settings=dict(settings or {}), use_strings=True
            ),
        )
        if any(pa.types.is_int8(field.type) or pa.types.is_uint32(field.type) for field in table.schema):
            table = self._typed(sql, bound, table)
        return table

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Run a statement; returns its single value or summary, if it has one. Tried once."""
        try:
            return self._client.command(sql, parameters=dict(parameters or {}) or None)
        except ClickHouseError as error:
            raise _store_error(self.address, "command", error) from error

    def insert(self, table: str, rows: pa.Table, token: str) -> None:
        """Insert rows once: the same table and token again, as after a lost answer, adds nothing.

        The token must follow from the rows: other rows under the same token are dropped by ClickHouse.

        Raises:
            StoreAway: the rows may have been taken or not; the same again, under the same token, is safe.
            StoreError: they were refused, and will be again.
        """
        if rows.num_rows == 0:
            return
        settings = {
            "insert_deduplicate": 1,
            "insert_deduplication_token": token,
            "async_insert": 0,  # an answer means that the rows are in a part on disk
            # a replay over many days is one insert over many daily partitions
            "max_partitions_per_insert_block": 0,
        }
        _retry(
            self.address,
            f"insert of {rows.num_rows} rows into {table}",
            lambda: self._client.insert_arrow(table, rows, database=self.database, settings=settings),
        )

    def close(self) -> None:
        """Let go of the connection, and of the folder if no other store of this process has it open."""
        if self._client is not None:
            self._client.close()
            self._client = None
            self._release()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _use_database(self) -> None:
        # a database that is not there yet is no error: `migrate` makes it
        exists = "SELECT count() FROM system.databases WHERE name = {name:String}"
        if self.query(exists, {"name": self.database})[0][0].as_py():
            self._client.database = self.database

    def _typed(self, sql: str, parameters: dict[str, Any], table: pa.Table) -> pa.Table:
        # Arrow output has enums and DateTime as plain numbers: ask for the types, and give those back
        try:
            described = self._client.query(
                f"DESCRIBE TABLE (\n{sql}\n)", parameters=parameters or None
            ).result_rows
        except ClickHouseError:
            return table  # SHOW and the like have neither
        for place, (name, kind, *_) in enumerate(described[: table.num_columns]):
            found = table.schema.field(place).type
            if pa.types.is_int8(found) and (match := _ENUM.fullmatch(kind)):
                names = {int(number): word for word, number in _ENUM_ITEM.findall(match.group(1))}
                values = [None if v is None else names[v] for v in table.column(place).to_pylist()]
                table = table.set_column(place, name, pa.array(values, pa.utf8()))
            elif pa.types.is_uint32(found) and _DATETIME.fullmatch(kind):
                seconds = table.column(place).cast(pa.int64()).cast(pa.timestamp("s", "UTC"))
                table = table.set_column(place, name, seconds)
        return table


def _connect(address: Address) -> Any:
    if address.path is not None:
        return clickhouse_connect.get_client(interface="chdb", path=address.path)
    authority = os.environ.get("DRIFTLINE_CLICKHOUSE_CA_FILE")
    if authority and not Path(authority).is_file():
        raise StoreError(f"DRIFTLINE_CLICKHOUSE_CA_FILE: there is no file {authority}")
    return clickhouse_connect.get_client(
        host=address.host,
        port=address.port,
        secure=address.secure,
        username=os.environ.get("DRIFTLINE_CLICKHOUSE_USER") or "default",
        password=_password(),
        ca_cert=authority if address.secure else None,
        connect_timeout=_CONNECT_S,
        send_receive_timeout=_SILENCE_S,
        autogenerate_session_id=False,  # so that threads may share the client
        dedicated_pool=True,  # closed with the client
    )


def _password() -> str:
    file = os.environ.get("DRIFTLINE_CLICKHOUSE_PASSWORD_FILE")
    if not file:
        return os.environ.get("DRIFTLINE_CLICKHOUSE_PASSWORD", "")
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise StoreError(
            f"DRIFTLINE_CLICKHOUSE_PASSWORD_FILE: cannot read {file}: {error.strerror}"
        ) from None


def _retry(address: Address, what: str, call: Callable[[], T]) -> T:
    attempts = Retrying(
        stop=stop_after_attempt(_ATTEMPTS) | stop_after_delay(_BRIDGED_S),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        retry=retry_if_exception(_is_transient),
        reraise=True,
    )
    try:
        return attempts(call)
    except (ClickHouseError, pa.ArrowException) as error:
        raise _store_error(address, what, error) from error


def _is_transient(error: BaseException) -> bool:
    if not isinstance(error, ClickHouseError):
        return False
    if (code := getattr(error, "code", None)) is not None:
        return code in _TRANSIENT
    if status := re.search(r"HTTP status (\d+)", str(error)):
        return int(status[1]) in _PROXY_BUSY
    refused = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))
    return isinstance(error, OperationalError) and not refused


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__ or getattr(error, "reason", None)


def _store_error(address: Address, what: str, error: Exception) -> StoreError:
    # of a connection that failed the system's word says more than the client's and its pool's around it
    system = (cause.strerror for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror)
    reason = next(system, None) or " ".join(str(error).split())
    kind = StoreAway if _is_transient(error) else StoreError
    return kind(f"{address}: {what} failed: {reason[:1000]}")
