"""librdkafka's words: how a broker is reached, what it says is wrong, and which of that passes."""

from typing import Any

from confluent_kafka import KafkaError, KafkaException

from operators.adapters.kafka.options import KafkaOptions

#: Errors of a connection that has not heard yet of a new topic, partition or leader.
STALE = frozenset(
    {
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
#: Errors of a broker that has just started, or of a topic or leader that is new: asked again.
STARTING = STALE | frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._WAIT_COORD,
    }
)
#: Errors of a partition that pass by themselves while it is polled.
PASSING = STARTING | {
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError.REQUEST_TIMED_OUT,
}

#: What no patience helps against: another password is needed.
REFUSED = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})


def settings(options: KafkaOptions) -> dict[str, Any]:
    """How the broker is reached, in librdkafka's words."""
    given = {
        "bootstrap.servers": options.servers,
        "security.protocol": options.security_protocol,
        "ssl.ca.location": options.ssl_ca_file,
        "ssl.certificate.location": options.ssl_cert_file,
        "ssl.key.location": options.ssl_key_file,
        "sasl.mechanism": options.sasl_mechanism,
        "sasl.username": options.username,
        "sasl.password": options.password,
        "socket.timeout.ms": min(300_000, max(1000, int(options.timeout_s * 1000))),  # as it allows
        "reconnect.backoff.max.ms": 2000,
        "log_level": 0,  # what is wrong is told where it is met, not by a line a try
    }
    return {name: value for name, value in given.items() if value is not None}


class Complaints:
    """What the library last said of its connections: it tells why only there, not where a call fails."""

    def __init__(self) -> None:
        self.last: str | None = None
        self.refused = False

    def __call__(self, error: KafkaError) -> None:
        """Take in what it says of a connection."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.last = error.str()
        self.refused = self.refused or error.code() in REFUSED

    def with_last(self, problem: object) -> str:
        """A failure and, where one is known, its cause."""
        error = problem.args[0] if isinstance(problem, KafkaException) else problem
        said = error.str() if isinstance(error, KafkaError) else str(error)
        return f"{said} ({self.last})" if self.last and self.last != said else said
