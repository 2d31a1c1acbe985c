"""``/metrics``, ``/healthz`` and ``/readyz`` over HTTP, for whoever may reach the address."""

import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client.exposition import choose_encoder

from pipelines.errors import UsageError
from pipelines.observe.health import Health
from pipelines.observe.recorder import Recorder

log = logging.getLogger(__name__)


@contextmanager
def serve(address: str, recorder: Recorder, health: Health) -> Iterator[str]:
    """Answer at ``HOST:PORT`` from threads of its own; gives the URL.

    Raises:
        UsageError: nothing can listen there.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    class Handler(_Handler):
        asked = recorder, health

    try:
        server = Server((host, int(port)), Handler)
    except OSError as problem:
        raise UsageError(f"observe: {address}: {problem.strerror or problem}") from None
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="observe", daemon=True)
    thread.start()
    shown = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{shown}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    asked: tuple[Recorder, Health]
    timeout = 10
    server_version = "driftline"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one question."""
        recorder, health = self.asked
        path = self.path.partition("?")[0]
        if path == "/metrics":
            health.record()
            encode, content = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, content, encode(recorder.registry))
        elif path == "/healthz":
            self._tell(health.alive, {"alive": health.alive})
        elif path == "/readyz":
            self._tell(health.ready, health.told())
        else:
            self._answer(404, "text/plain; charset=utf-8", b"/metrics, /healthz or /readyz\n")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody wants a line a scrape."""
        log.debug(format, *arguments)

    def _tell(self, good: bool, body: dict[str, Any]) -> None:
        self._answer(200 if good else 503, "application/json", json.dumps(body).encode() + b"\n")

    def _answer(self, status: int, content: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
