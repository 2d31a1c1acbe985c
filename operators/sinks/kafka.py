"""Anomaly events, incidents and dead letters to Kafka, with kafka-python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
        SinkError: the client refuses its options or finds no broker; some do so at the first `flush` only.
    """

    def __init__(
        self,
        bootstrap: str,
        config: Mapping[str, Any] | None = None,
        pipeline: str = "driftline",
        timeout_s: float = 60.0,
    ):
        # here, as only those who send to Kafka should wait for its client
        import kafka

        options = {"acks": "all", "compression_type": "gzip", "max_block_ms": int(timeout_s * 1000)}
        self._errors = kafka.errors
        self._bootstrap = bootstrap
        self._pipeline = pipeline
        self._timeout_s = timeout_s
        self._pending: list[_Record] = []
        try:
            self._producer = kafka.KafkaProducer(
                bootstrap_servers=bootstrap.split(","), **options | dict(config or {})
            )
        except kafka.errors.KafkaError as error:
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
        futures = {}
        reason: Exception | None = None
        for place, record in enumerate(self._pending):
            try:
                futures[place] = self._producer.send(
                    record.topic, record.value, key=record.key, headers=record.headers
                )
            except self._errors.KafkaTimeoutError as error:
                reason = error
                break  # nobody answers: each of the others would wait as long
            except self._errors.KafkaError as error:
                reason = error
        try:
            self._producer.flush(timeout=self._timeout_s)
        except self._errors.KafkaError as error:
            reason = error
        taken = {place for place, future in futures.items() if future.succeeded()}
        sent, self._pending = (
            self._pending,
            [r for place, r in enumerate(self._pending) if place not in taken],
        )
        if self._pending:
            # those whose answer was lost may arrive twice: at least once, and the id tells
            failure = next((f.exception for f in futures.values() if f.failed()), None) or reason
            raise SinkError(
                f"kafka://{self._bootstrap}: {len(self._pending)} of {len(sent)} records not taken: "
                f"{_reason(failure)}"
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
