"""Topics made anew on a broker that takes its time: what is done stays done, and the rest is waited for."""

from collections.abc import Callable, Collection, Mapping
from operator import not_

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

#: Recordings are older than what brokers keep: they would clear them away half a minute after their start.
FOREVER = {"retention.ms": "-1"}
#: How long anything may take that is waited for, on a slow machine.
PATIENCE_S = 600


def recreate(servers: str, topics: Mapping[str, int], config: Mapping[str, str] = FOREVER) -> None:
    """Have topics of those names and numbers of partitions with nothing in them, each ready to be used."""
    # Not made before the broker has heard of their end: it would go on with the old logs for a moment, and
    # what was written to them would be gone.
    remove(servers, topics)
    make(servers, topics, config)


def remove(servers: str, topics: Collection[str]) -> None:
    """Have none of these topics, as the broker tells."""
    admin = AdminClient({"bootstrap.servers": servers})

    def removed() -> bool:
        there = [topic for topic in topics if topic in admin.list_topics(timeout=60).topics]
        for answer in (admin.delete_topics(there) if there else {}).values():
            _settled(answer.result, KafkaError.UNKNOWN_TOPIC_OR_PART)
        return not there

    _until(removed, f"the end of {', '.join(topics)}")


def make(servers: str, topics: Mapping[str, int], config: Mapping[str, str] = FOREVER) -> None:
    """Make topics, and return once the broker has opened every partition: it tells of them before."""
    admin = AdminClient({"bootstrap.servers": servers})
    wanted = [NewTopic(topic, count, 1, config=dict(config)) for topic, count in topics.items()]

    def made() -> bool:
        for answer in admin.create_topics(wanted).values():
            _settled(answer.result, KafkaError.TOPIC_ALREADY_EXISTS)  # by a try that was not heard to the end
        return True

    _until(made, f"the making of {', '.join(topics)}")
    ends(servers, [(topic, n) for topic, count in topics.items() for n in range(count)])


def ends(servers: str, partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """The offset behind the last record of each partition, open transactions included."""
    admin = AdminClient({"bootstrap.servers": servers})
    latest = {TopicPartition(*place): OffsetSpec.latest() for place in partitions}
    found: dict[tuple[str, int], int] = {}

    def answered() -> bool:
        admin.list_topics(timeout=60)  # a client that knows no broker yet asks its second question after 3 s
        for place, end in admin.list_offsets(latest).items():
            found[place.topic, place.partition] = end.result().offset
        return True

    _until(answered, f"the logs of {', '.join(sorted({topic for topic, _ in partitions}))}")
    return found


def _settled(answer: Callable[[], object], code: int) -> None:
    try:
        answer()
    except KafkaException as problem:
        if problem.args[0].code() != code:
            raise


def _until(done: Callable[[], bool], what: str) -> None:
    """Try until it is so, through whatever a broker answers that is busy."""
    patient = Retrying(
        retry=retry_if_exception_type(KafkaException) | retry_if_result(not_),
        stop=stop_after_delay(PATIENCE_S),
        wait=wait_fixed(0.05),
    )
    try:
        patient(done)
    except RetryError as end:
        refusal = end.last_attempt.exception()
        raise TimeoutError(f"{what}: not within {PATIENCE_S} s") from refusal
