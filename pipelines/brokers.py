"""Which broker the topics and dlq commands mean, and how it is reached."""

from pathlib import Path

from operators.adapters.kafka import KafkaOptions
from pipelines.config import Config, ConfigError, kafka_servers, resolve
from pipelines.engines.job import kafka_options


def broker(path: Path | None, flag: str | None) -> KafkaOptions:
    """The broker of the flag, else of the config's input or output."""
    return broker_of(resolve(path), flag)


def broker_of(config: Config, flag: str | None) -> KafkaOptions:
    """The same of a config that is read already."""
    for address in (flag, config.input, config.output):
        if address and kafka_servers(address):
            return kafka_options(config, address)
    raise ConfigError("no broker: give --kafka kafka://HOST:PORT, or a config whose input is one")
