"""``driftline topics list|create|diff``: the topics as declared in `schemas/topics.yaml`, and a broker's."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from operators.adapters.kafka.options import KafkaOptions
from operators.store_errors import SinkError
from schemas.topics import INPUT_TOPICS, OUTPUT_TOPICS, TOPICS, TopicSpec


class TopicRow(NamedTuple):
    """One topic as declared."""

    topic: str
    direction: str
    spec: TopicSpec


class Difference(NamedTuple):
    """One way in which a broker's topic is not as declared."""

    topic: str
    what: str
    declared: str
    found: str


class Found(NamedTuple):
    """One topic as a broker has it."""

    partitions: int
    config: Mapping[str, str]


def list_topics() -> list[TopicRow]:
    """Every topic: ``in``, ``out`` or ``dlq``."""
    direction = dict.fromkeys(INPUT_TOPICS, "in") | dict.fromkeys(OUTPUT_TOPICS, "out")
    return [TopicRow(topic, direction.get(topic, "dlq"), spec) for topic, spec in TOPICS.items()]


def create(options: KafkaOptions, replication: int = -1) -> list[str]:
    """Create the topics that a broker lacks; returns their names. Topics it has are left as they are.

    Args:
        options: how the broker is reached.
        replication: copies of each partition; -1 leaves it to the broker.

    Raises:
        SinkError: the broker cannot be reached, or refuses.
    """
    from kafka.errors import TopicAlreadyExistsError

    with _admin(options) as admin:
        missing = [topic for topic in TOPICS if topic not in admin.list_topics()]
        created = []
        for topic in missing:
            spec = TOPICS[topic]
            shape = {"num_partitions": spec.partitions, "replication_factor": replication}
            try:
                admin.create_topics({topic: shape | {"configs": spec.config}})
            except TopicAlreadyExistsError:
                continue  # made by someone else meanwhile
            created.append(topic)
        return created


def diff(options: KafkaOptions) -> list[Difference]:
    """Where a broker's topics are not as declared; empty if they all are. Other topics of it are no concern.

    Raises:
        SinkError: the broker cannot be reached, or refuses.
    """
    from kafka.admin import ConfigResource, ConfigResourceType

    with _admin(options) as admin:
        there = [topic for topic in TOPICS if topic in admin.list_topics()]
        if not there:
            return compare(TOPICS, {})
        partitions = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(there)}
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in there]
        described = admin.describe_configs(resources, config_filter="all")
        configs = next(iter(described.values()))
    return compare(TOPICS, {topic: Found(partitions[topic], _values(configs[topic])) for topic in there})


def compare(declared: Mapping[str, TopicSpec], found: Mapping[str, Found]) -> list[Difference]:
    """The differences, topic by topic. More partitions than declared are none: they can only ever grow."""
    rows = []
    for topic, spec in declared.items():
        if topic not in found:
            rows.append(Difference(topic, "topic", "exists", "missing"))
            continue
        has = found[topic]
        if has.partitions < spec.partitions:
            rows.append(Difference(topic, "partitions", str(spec.partitions), str(has.partitions)))
        rows += [
            Difference(topic, name, value, has.config.get(name, ""))
            for name, value in spec.config.items()
            if has.config.get(name) != value
        ]
    return rows


def _values(config: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(entry["value"]) for name, entry in config.items()}


@contextmanager
def _admin(options: KafkaOptions) -> Iterator[Any]:
    # here, as listing the topics should not wait for the client
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    from operators.adapters.kafka.heard import heard, reason
    from operators.adapters.kafka.kafka_python import settings

    try:
        with heard("kafka") as said:
            admin = KafkaAdminClient(**settings(options))
        try:
            yield admin
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise SinkError(f"kafka://{options.servers}: {reason(error)}{said.why}") from error
