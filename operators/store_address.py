"""Where a store is: ``chdb:PATH``, or ``http(s)://HOST:PORT/DB``."""

import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from operators.store_errors import StoreUrlError

DEFAULT_DATABASE = "driftline"


class Address(NamedTuple):
    """Where a store is: a folder, or a host with its port; and the database."""

    path: str | None
    host: str
    port: int
    secure: bool
    database: str

    def __str__(self) -> str:
        if self.path is not None:
            return f"chdb:{self.path}"
        return f"{'https' if self.secure else 'http'}://{self.host}:{self.port}/{self.database}"


def parse_url(url: str, database: str | None = None) -> Address:
    """The address a URL names.

    Raises:
        StoreUrlError: another form, or credentials in the URL; the message never repeats them.
    """
    if url.startswith("chdb:"):
        path = url.removeprefix("chdb:")
        if not path or path.startswith((":memory:", "//")):
            raise StoreUrlError("chdb: needs a folder after it, as in chdb:./driftline-data")
        return Address(os.path.realpath(path), "", 0, False, _identifier(database or DEFAULT_DATABASE))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise StoreUrlError("a ClickHouse URL reads http(s)://HOST:PORT/DB") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StoreUrlError("a ClickHouse URL reads chdb:PATH or http(s)://HOST:PORT/DB")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise StoreUrlError(
            f"the ClickHouse URL for {parts.hostname} may hold no user, password or options: set "
            "DRIFTLINE_CLICKHOUSE_USER and DRIFTLINE_CLICKHOUSE_PASSWORD (or its _FILE) in the environment"
        )
    secure = parts.scheme == "https"
    name = database or parts.path.strip("/") or DEFAULT_DATABASE
    return Address(None, parts.hostname, port or (8443 if secure else 8123), secure, _identifier(name))


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise StoreUrlError(f"{name!r} is no database name: letters, digits and _ only, no digit first")
    return name
