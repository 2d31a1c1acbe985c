"""Which broker a command means that somebody waits for, and how it is reached."""

import socket
import time
from pathlib import Path

from operators.adapters.kafka import KafkaOptions
from operators.adapters.source import SourceError
from pipelines.config import Config, ConfigError, kafka_servers, resolve
from pipelines.engines.job import kafka_options

#: How long a broker may take to be listened at; a run waits longer, as its broker may have begun to start.
_PATIENCE_S = 2.0
_AGAIN_S = 0.2


def broker(path: Path | None, flag: str | None) -> KafkaOptions:
    """The broker of the flag, else of the config's input or output."""
    return broker_of(resolve(path), flag)


def broker_of(config: Config, flag: str | None) -> KafkaOptions:
    """The same of a config that is read already."""
    for address in (flag, config.input, config.output):
        if address and kafka_servers(address):
            return reached(config, address)
    raise ConfigError("no broker: give --kafka kafka://HOST:PORT, or a config whose input is one")


def reached(config: Config, address: str) -> KafkaOptions:
    """How the broker of an address is reached, once something listens there.

    Raises:
        SourceError: nothing does.
    """
    options = kafka_options(config, address)
    until = time.monotonic() + _PATIENCE_S
    while (problem := _away(options.servers)) is not None:
        if time.monotonic() > until:
            raise SourceError(f"kafka://{options.servers} cannot be reached: {problem}")
        time.sleep(_AGAIN_S)
    return options


def _away(servers: str) -> OSError | None:
    """Why none of these takes a connection; None where one does."""
    problem = OSError("it names no server")
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
        except ValueError:
            return None  # no port: the client has its own words for that
        except OSError as error:
            problem = error
        else:
            return None
    return problem
