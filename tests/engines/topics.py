"""Topics of known names for tests that cannot choose them."""

from collections.abc import Mapping

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.engines.broker import until, with_admin


def recreate(servers: str, topics: Mapping[str, int]) -> None:
    """Topics of those names and numbers of partitions, with nothing in them."""

    def made(admin: KafkaAdminClient) -> bool:
        there = [topic for topic in topics if topic in admin.list_topics()]
        if there:
            admin.delete_topics(there)
            return False
        admin.create_topics(
            {topic: {"num_partitions": n, "replication_factor": 1} for topic, n in topics.items()}
        )
        return True

    def tried() -> bool:
        try:
            return bool(with_admin(servers, made))
        except KafkaError:  # being deleted still
            return False

    until(tried, "fresh topics")
