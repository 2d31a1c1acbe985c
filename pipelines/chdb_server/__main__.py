"""``python -m pipelines.chdb_server --path DIR``: serve the engine on one folder until SIGTERM or SIGINT."""

import argparse
import os
import ssl
import sys

from aiohttp import web

from operators import engine_lock
from operators.store_errors import StoreError
from pipelines.chdb_server.engine import Engine
from pipelines.chdb_server.front import Credentials, Front


def main() -> int:
    """Serve; 1 where the folder is held or the port cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.chdb_server", description=__doc__)
    parser.add_argument("--path", required=True, help="the engine's folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--certificate", help="PEM file, for https")
    parser.add_argument("--key", help="PEM file of its key")
    asked = parser.parse_args()
    tls = None
    if asked.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(asked.certificate, asked.key)
    try:
        serve(os.path.realpath(asked.path), asked.host, asked.port, tls)
    except (StoreError, OSError) as problem:
        print(f"chdb_server: {problem}", file=sys.stderr)
        return 1
    return 0


def serve(folder: str, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
    """Hold the folder and serve it; returns after a signal, when what was begun is done.

    Raises:
        StoreBusy: another process has the folder open.
        OSError: the address cannot be had.
    """
    release = engine_lock.acquire(folder)
    try:
        engine = Engine(folder)
        credentials = Credentials(
            os.environ.get("DRIFTLINE_CLICKHOUSE_USER") or "default",
            os.environ.get("DRIFTLINE_CLICKHOUSE_PASSWORD", ""),
        )
        app = Front(engine, credentials, host).application()
        ready = f"chdb_server: chdb:{folder} at http{'s' if tls else ''}://{host}:{port}"

        def tell(*_: object) -> None:
            print(ready, flush=True)

        try:
            web.run_app(app, host=host, port=port, ssl_context=tls, access_log=None, print=tell)
        finally:
            engine.close()
    finally:
        release()


if __name__ == "__main__":
    sys.exit(main())
