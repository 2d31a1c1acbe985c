"""What an engine is given, and the parts that every engine opens the same way."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from operators.adapters.files import FileSource
from operators.adapters.kafka import KafkaOptions, KafkaSource
from operators.adapters.source import Source
from operators.meters import UNMETERED, Meters
from pipelines.config import Config, kafka_servers
from pipelines.errors import UsageError
from schemas.topics import INPUT_TOPICS


def _silent(_: int | None) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Job:
    """One run: what `driftline run` resolved.

    ``stop`` ends a run that has no end of its own. ``progress`` is told the input's time (Unix ms) every few
    seconds, ``meters`` of all that is declared in `operators.meters`. ``warm_start``: history to learn from
    before a run that has no state, see `pipelines.warm`.
    """

    config: Config
    until_end: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[int | None], None] = _silent
    meters: Meters = UNMETERED
    warm_start: str | None = None


def kafka_options(config: Config, address: str) -> KafkaOptions:
    """The client options for one ``kafka://`` address, secrets read from their files or the environment."""
    kafka = config.kafka
    return KafkaOptions(
        servers=kafka_servers(address) or "",
        group=kafka.group,
        start=kafka.start,
        security_protocol=kafka.security_protocol,
        ssl_ca_file=kafka.ssl_ca_file,
        ssl_cert_file=kafka.ssl_cert_file,
        ssl_key_file=kafka.ssl_key_file,
        sasl_mechanism=kafka.sasl_mechanism,
        username=_secret("kafka.username_file", kafka.username_file, "DRIFTLINE_KAFKA_USERNAME"),
        password=_secret("kafka.password_file", kafka.password_file, "DRIFTLINE_KAFKA_PASSWORD"),
        api_version=kafka.api_version,
        max_poll_records=kafka.max_poll_records,
    )


def open_source(job: Job, part: tuple[int, int] = (0, 1)) -> Source:
    """The run's input. ``part`` is ``(index, of)`` where several readers share Kafka's partitions."""
    config = job.config
    address = config.input or ""
    if kafka_servers(address) is None:
        return FileSource(Path(address), follow=not job.until_end)
    topics = config.kafka.topics or INPUT_TOPICS
    return KafkaSource(kafka_options(config, address), topics, client=config.kafka.client, part=part)


def _secret(name: str, file: str | None, variable: str) -> str | None:
    if file is None:
        return os.environ.get(variable)
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise UsageError(f"{name}: {file}: {problem.strerror}") from None
