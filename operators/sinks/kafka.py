"""Anomaly events, incidents and dead letters to Kafka."""

import time
from collections.abc import Sequence

from msgspec import structs

from operators.adapters.kafka.client import KafkaProducer, OutRecord, connect_producer
from operators.adapters.kafka.options import KafkaOptions
from operators.dead_letters import DeadLetter
from operators.emission import Emission
from operators.sinks.dead_letters import dlq_record, dlq_topic
from operators.store_errors import SinkAway, SinkError
from schemas.events import cloudevent_kafka
from schemas.outputs import AnomalyEvent, Incident

ANOMALIES = "anomalies.v1"
INCIDENTS = "incidents.v1"
#: Share of its patience that a flush must have spent for a failure to be silence: refusals come at once.
_PATIENT = 0.9


class KafkaSink:
    """Sends CloudEvents in binary mode, keyed by fingerprint or incident id, with ``acks=all``.

    Args:
        options: how the broker is reached.
        client: name of the client library.
        pipeline: the last part of the events' ``source``.
        timeout_s: how long `flush` waits for brokers that are away before it gives up, keeping all.

    Raises:
        SinkError: the client refuses its options or finds no broker; some do so at the first `flush` only.
    """

    def __init__(
        self,
        options: KafkaOptions,
        client: str = "kafka-python",
        pipeline: str = "driftline",
        timeout_s: float = 60.0,
    ):
        self._options = structs.replace(options, timeout_s=timeout_s)
        self._client = client
        self._pipeline = pipeline
        self._pending: list[OutRecord] = []
        self._producer: KafkaProducer | None = connect_producer(client, self._options)

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
            self._pending.append(OutRecord(dlq_topic(letter.topic), None, *dlq_record(letter)))

    def flush(self) -> None:
        """Send what was gathered and wait until the brokers have it.

        Raises:
            SinkAway: the brokers gave no answer for as long as this waits; what they do not have is kept.
            SinkError: they refuse some of it; the rest is kept.
        """
        if not self._pending:
            return
        began = time.monotonic()
        if self._producer is None:
            try:
                self._producer = connect_producer(self._client, self._options)
            except SinkError as problem:  # it could be reached before
                raise SinkAway(str(problem)) from None
        sent, failed = self._pending, self._producer.deliver(self._pending)
        self._pending = _kept(sent, failed)
        if failed:
            # with idempotence, some libraries send nothing more after a record that the broker refused
            self.close()
            # those whose answer was lost may arrive twice: at least once, and the id tells
            kind = SinkError if time.monotonic() - began < _PATIENT * self._options.timeout_s else SinkAway
            raise kind(
                f"kafka://{self._options.servers}: {len(failed)} of {len(sent)} records not taken: "
                f"{failed[min(failed)]}"
            )

    def close(self) -> None:
        """Let go of the connection; what was not flushed is given up."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _add(self, topic: str, output: AnomalyEvent | Incident) -> None:
        self._pending.append(OutRecord(topic, *cloudevent_kafka(output, self._pipeline)))


def _kept(sent: list[OutRecord], failed: dict[int, str]) -> list[OutRecord]:
    """What to send again: what failed and, so that a key's last record stays its newest, what followed it."""
    keys: dict[tuple[str, bytes], int] = {}
    for index in sorted(failed):
        if (key := sent[index].key) is not None:
            keys.setdefault((sent[index].topic, key), index)
    return [
        record
        for index, record in enumerate(sent)
        if index in failed or (record.key and index > keys.get((record.topic, record.key), len(sent)))
    ]
