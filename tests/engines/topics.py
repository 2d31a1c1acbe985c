"""Topics of known names for tests that cannot choose them: a broker takes its time with each."""

from collections.abc import Callable, Collection, Mapping

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.engines.broker import FOREVER, until, with_admin


def remove(servers: str, topics: Collection[str]) -> None:
    """None of these topics is there, nor being deleted still."""

    def removed(admin: KafkaAdminClient) -> bool:
        there = [topic for topic in topics if topic in admin.list_topics()]
        if there:
            admin.delete_topics(there)
        return not there

    until(lambda: _tried(servers, removed), "topics deleted")


def recreate(servers: str, topics: Mapping[str, int]) -> None:
    """Topics of those names and numbers of partitions, with nothing in them."""
    kept = {"replication_factor": 1, "configs": FOREVER}
    shapes = {topic: {"num_partitions": n} | kept for topic, n in topics.items()}

    def made(admin: KafkaAdminClient) -> bool:
        there = [topic for topic in topics if topic in admin.list_topics()]
        if missing := {topic: shape for topic, shape in shapes.items() if topic not in there}:
            admin.create_topics(missing)
        found = admin.describe_topics(list(topics))
        return {each["name"]: len(each["partitions"]) for each in found} == dict(topics)

    remove(servers, topics)
    until(lambda: _tried(servers, made), "fresh topics")


def _tried(servers: str, ask: Callable[[KafkaAdminClient], bool]) -> bool:
    try:
        return bool(with_admin(servers, ask))
    except KafkaError:  # being deleted still, or made already
        return False
