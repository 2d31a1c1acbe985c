"""ClickHouse's HTTP interface: requests to statements, answers and refusals to responses."""

import asyncio
import base64
import hmac
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
from aiohttp import web

from pipelines.chdb_server.engine import Engine, EngineError, Statement

MAX_BODY_BYTES = 1 << 30
_THREADS = 16
#: What the interface reads itself; all other URL parameters are settings.
_OWN = {
    *(
        "query",
        "database",
        "default_format",
        "user",
        "password",
        "quota_key",
        "role",
        "query_id",
        "stacktrace",
    ),
    *("session_id", "session_timeout", "session_check", "wait_end_of_query", "buffer_size", "compress"),
    *("decompress", "client_protocol_version"),
}
#: HTTP status of ClickHouse's error codes, as its server gives it; 500 for the others.
_STATUS = {
    **dict.fromkeys((6, 8, 15, 25, 26, 27, 36, 38, 41, 44, 53, 62, 69, 72, 117, 376, 427, 441), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 511), 404),
    **dict.fromkeys((192, 193, 497, 512, 516), 403),
    48: 501, 76: 503, 159: 408, 194: 401, 209: 503, 439: 503,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one user there is; any name will do with an empty password."""

    user: str
    password: str

    def admit(self, request: web.Request) -> bool:
        """Whether a request brings them, in any of the three ways that ClickHouse knows."""
        if not self.password:
            return True
        user = request.query.get("user", request.headers.get("X-ClickHouse-User", "default"))
        password = request.query.get("password", request.headers.get("X-ClickHouse-Key", ""))
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                user, _, password = base64.b64decode(given).decode(errors="replace").partition(":")
            except ValueError:
                return False
        same = hmac.compare_digest(password.encode(), self.password.encode())
        return same and user == self.user


class Refused(Exception):
    """A request that never comes to the engine: ClickHouse's code and words for it."""

    def __init__(self, code: int, words: str, name: str):
        super().__init__(f"Code: {code}. DB::Exception: {words} ({name})")
        self.code = code


class Front:
    """The requests' handlers; statements run in threads, several at once.

    Args:
        engine: that runs them.
        credentials: that a request has to bring.
        host: the name or address that is listened on.
    """

    def __init__(self, engine: Engine, credentials: Credentials, host: str):
        self._engine = engine
        self._credentials = credentials
        self._names = {"localhost", socket.gethostname().lower(), host.lower()}
        self._threads = ThreadPoolExecutor(_THREADS, "statement")

    def application(self) -> web.Application:
        """The web application: ``/ping`` and statements at ``/``."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/ping", self.ping)
        app.router.add_route("*", "/", self.run)
        app.on_cleanup.append(self._settle)
        return app

    async def _settle(self, app: web.Application) -> None:
        """What was begun is done before the engine ends."""
        await asyncio.to_thread(self._threads.shutdown)

    async def ping(self, request: web.Request) -> web.Response:
        """Alive, though the engine may be busy."""
        return web.Response(text="Ok.\n")

    async def run(self, request: web.Request) -> web.Response:
        """One statement."""
        try:
            statement = await self._statement(request)
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, self._engine.run, statement)
        except (EngineError, Refused) as problem:
            return self._refusal(problem)
        headers = self._headers(request) | {"X-ClickHouse-Summary": answer.summary}
        if answer.format is not None:
            headers["X-ClickHouse-Format"] = answer.format
        return web.Response(body=answer.body, headers=headers)

    async def _statement(self, request: web.Request) -> Statement:
        if "Origin" in request.headers:  # a web page in a browser on this machine
            raise Refused(497, "requests from web pages are not served", "ACCESS_DENIED")
        if not self._called_so(request):
            raise Refused(497, f"nothing here is called {request.host}", "ACCESS_DENIED")
        if not self._credentials.admit(request):
            raise Refused(516, "no such user, or another password", "AUTHENTICATION_FAILED")
        if request.query.get("decompress") == "1" or request.query.get("compress") == "1":
            raise Refused(48, "bodies in ClickHouse's own compression", "NOT_IMPLEMENTED")
        named = dict(request.query)
        if request.content_type == "multipart/form-data":
            named |= {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
            rows = b""
        else:
            rows = _plain(await request.read(), request.headers.get("Content-Encoding"))
        query = named.get("query", "").encode()
        settings = {k: v for k, v in named.items() if k not in _OWN and not k.startswith("param_")}
        if request.method == "GET" and settings.get("readonly", "0") == "0":
            settings["readonly"] = "2"  # a web page can have a browser GET anything, without saying so
        return Statement(
            text=query + b"\n" + rows if query and rows else query or rows,
            database=named.get("database") or request.headers.get("X-ClickHouse-Database") or "default",
            settings=settings,
            parameters={k.removeprefix("param_"): v for k, v in named.items() if k.startswith("param_")},
            format=named.get("default_format")
            or request.headers.get("X-ClickHouse-Format")
            or "TabSeparated",
        )

    def _called_so(self, request: web.Request) -> bool:
        """Whether it was asked for by an address, or by a name that it knows to be its own.

        A web page can have its own name lead here, and is then no stranger to the browser that shows it.
        """
        name = (request.url.host or "").lower()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names or bool(self._credentials.password)
        return True

    def _headers(self, request: web.Request) -> dict[str, str]:
        return {
            "X-ClickHouse-Server-Display-Name": "chdb",
            "X-ClickHouse-Timezone": self._engine.timezone,
            "X-ClickHouse-Query-Id": request.query.get("query_id", ""),
        }

    def _refusal(self, problem: EngineError | Refused) -> web.Response:
        words = str(problem)
        if "(version " not in words:
            words += f" (version {self._engine.version})"
        return web.Response(
            text=words + "\n",
            status=_STATUS.get(problem.code, 500),
            headers={"X-ClickHouse-Exception-Code": str(problem.code)},
        )


def _plain(body: bytes, encoding: str | None) -> bytes:
    if encoding != "lz4":
        return body  # aiohttp has decompressed what it knows: gzip, deflate, zstd and brotli
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), "lz4") as stream:
            return bytes(stream.read())
    except (pa.ArrowException, OSError) as problem:
        raise Refused(271, f"the body is no lz4 frame: {problem}", "CANNOT_DECOMPRESS") from None
