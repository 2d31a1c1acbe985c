"""Where the processes of a stack listen, all on loopback."""

import random
import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from itertools import islice

from msgspec import Struct
from msgspec.structs import fields

HOST = "127.0.0.1"
# Below the ports that outgoing connections are given: a client that tries again and again to reach a server
# which was killed may be given the server's own port, connect to itself, and hold it.
_UNASSIGNED = range(20_000, 32_000)
#: What was handed out here: it may be bound only later.
_given: set[int] = set()


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
    worker_pool: int = 8096
    clickhouse: int = 8123

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nothing listens on now, and that this process was not given before."""
        numbers = sorted(random.sample(_UNASSIGNED, len(_UNASSIGNED)), key=_given.__contains__)
        found = list(islice(filter(_can_be_had, numbers), len(fields(cls))))
        _given.update(found)
        return cls(*found)


def _can_be_had(port: int) -> bool:
    with socket.socket() as attempt:
        try:
            attempt.bind((HOST, port))
        except OSError:
            return False
    return True


def address(port: int) -> str:
    """``127.0.0.1:PORT``."""
    return f"{HOST}:{port}"


def listens(port: int) -> bool:
    """Whether something takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex((HOST, port)) == 0


def get(port: int, path: str) -> bytes | None:
    """What a server there answers to a GET, if it is content with it."""
    with closing(HTTPConnection(HOST, port, timeout=20)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read() if answer.status == 200 else None
        except (OSError, HTTPException):
            return None
