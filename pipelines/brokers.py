"""Which broker the topics commands mean, and how it is reached."""

from pathlib import Path
from typing import Any

from pipelines.config import ConfigError, kafka_servers, resolve
from pipelines.engines.job import kafka_client_settings, kafka_options


def broker(path: Path | None, flag: str | None) -> tuple[str, dict[str, Any]]:
    """Servers and kafka-python's options: of the flag, else of the config's input or output."""
    config = resolve(path)
    for address in (flag, config.input, config.output):
        servers = kafka_servers(address or "")
        if address and servers:
            return servers, kafka_client_settings(kafka_options(config, address))
    raise ConfigError("no broker: give --kafka kafka://HOST:PORT, or a config whose input is one")
