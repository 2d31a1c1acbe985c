"""Where the processes of a stack listen, all on loopback."""

import socket
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException

from msgspec import Struct
from msgspec.structs import fields

HOST = "127.0.0.1"


class Ports(Struct, frozen=True):
    """A port each. The defaults are the ones people know these programs by."""

    kafka: int = 9092
    kafka_controller: int = 9093
    flink_rest: int = 8081
    flink_rpc: int = 6123
    flink_blob: int = 6124
    flink_tasks: int = 6122
    job_server: int = 8099
    job_artifacts: int = 8098
    job_expansion: int = 8097
    worker_pool: int = 50000
    clickhouse: int = 8123

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nothing listens on now."""
        with ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in fields(cls)]
            for one in sockets:
                one.bind((HOST, 0))
            return cls(*(one.getsockname()[1] for one in sockets))


def address(port: int) -> str:
    """``127.0.0.1:PORT``."""
    return f"{HOST}:{port}"


def listens(port: int) -> bool:
    """Whether something takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def get(port: int, path: str) -> bytes | None:
    """What a server there answers to a GET, if it is content with it."""
    with closing(HTTPConnection(HOST, port, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read() if answer.status == 200 else None
        except (OSError, HTTPException):
            return None
