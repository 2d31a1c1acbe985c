"""Anomaly events, incidents and dead letters to Kafka, with kafka-python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from operators.dead_letters import DeadLetter
from operators.emission import Emission
from operators.sinks.dead_letters import dlq_record, dlq_topic
from operators.store_errors import SinkError
from schemas.events import cloudevent_kafka
from schemas.outputs import AnomalyEvent, Incident

ANOMALIES = "anomalies.v1"
INCIDENTS = "incidents.v1"


@dataclass(frozen=True, slots=True)
class _Record:
    topic: str
    key: bytes | None
    headers: list[tuple[str, bytes]]
    value: bytes


class KafkaSink:
    """Sends CloudEvents in binary mode, keyed by fingerprint or incident id, with ``acks=all``.

    Args:
        bootstrap: ``HOST:PORT``, several by comma.
        config: further options of `kafka.KafkaProducer`, such as ``security_protocol``, ``ssl_cafile``,
            ``sasl_mechanism`` or ``api_version``.
        pipeline: the last part of the events' ``source``.
        timeout_s: how long `flush` waits for the brokers.

    Raises:
        SinkError: no broker answers.
    """

    def __init__(
        self,
        bootstrap: str,
        config: Mapping[str, Any] | None = None,
        pipeline: str = "driftline",
        timeout_s: float = 60.0,
    ):
        options = {"acks": "all", "linger_ms": 5, "compression_type": "gzip"} | dict(config or {})
        self._bootstrap = bootstrap
        self._pipeline = pipeline
        self._timeout_s = timeout_s
        self._pending: list[_Record] = []
        try:
            self._producer = KafkaProducer(bootstrap_servers=bootstrap.split(","), **options)
        except KafkaError as error:
            raise SinkError(f"kafka://{bootstrap}: {_reason(error)}") from error

    def write(self, emission: Emission) -> None:
        """Take one emission's events."""
        for event in emission.events:
            self._add(ANOMALIES, event)

    def write_incidents(self, incidents: Sequence[Incident]) -> None:
        """Take new versions of incidents."""
        for incident in incidents:
            self._add(INCIDENTS, incident)

    def write_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Take refused samples."""
        for letter in letters:
            self._pending.append(_Record(dlq_topic(letter.topic), None, *dlq_record(letter)))

    def flush(self) -> None:
        """Send what was gathered and wait until the brokers have it; raises `SinkError`, keeping the rest."""
        pending, self._pending = self._pending, []
        failed: list[_Record] = []
        reason: Exception | None = None
        sent = []
        for record in pending:
            try:
                future = self._producer.send(
                    record.topic, record.value, key=record.key, headers=record.headers
                )
                sent.append((record, future))
            except KafkaError as error:
                failed.append(record)
                reason = error
        try:
            self._producer.flush(timeout=self._timeout_s)
        except KafkaError as error:
            reason = error
        for record, future in sent:
            if not future.succeeded():
                failed.append(record)
                reason = future.exception or reason
        if failed:
            # those whose answer was lost may arrive twice: at least once, and the id tells
            self._pending = failed + self._pending
            raise SinkError(
                f"kafka://{self._bootstrap}: {len(failed)} of {len(pending)} records not taken: "
                f"{_reason(reason)}"
            )

    def close(self) -> None:
        """Flush, and close the connection whether or not that succeeds."""
        try:
            self.flush()
        finally:
            self._producer.close(timeout=5)

    def _add(self, topic: str, output: AnomalyEvent | Incident) -> None:
        key, headers, value = cloudevent_kafka(output, self._pipeline)
        self._pending.append(_Record(topic, key, headers, value))


def _reason(error: Exception | None) -> str:
    return "no answer in time" if error is None else f"{type(error).__name__} {error}".strip()
