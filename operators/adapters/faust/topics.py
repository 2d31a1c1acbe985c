"""The topics an app keeps for itself: messages by shard, and the journals of its tasks."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from operators.adapters.faust.journal import MESSAGE_BYTES
from operators.adapters.source import SourceError

#: A journal's segments are kept small, so that compaction keeps what a restart has to read small.
_JOURNAL = {
    "cleanup.policy": "compact",
    "segment.bytes": str(32 * 2**20),
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.1",
}
#: Messages are kept until a shard's state is past them; the app deletes them then.
_MESSAGES = {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": str(MESSAGE_BYTES)}


def messages_topic(group: str) -> str:
    """Messages, a partition a shard."""
    return f"{group}-shards"


def shards_journal(group: str) -> str:
    """Journals of the shards, a partition each."""
    return f"{group}-shards-changelog"


def intakes_journal(group: str) -> str:
    """Journals of the source partitions' intakes, over as many partitions as there are shards."""
    return f"{group}-intakes-changelog"


async def create(admin: AIOKafkaAdminClient, group: str, shards: int) -> None:
    """Create what is not there.

    Raises:
        SourceError: a topic is there with another number of partitions, or the broker refuses.
    """
    wanted = {
        messages_topic(group): _MESSAGES,
        shards_journal(group): _JOURNAL,
        intakes_journal(group): _JOURNAL,
    }
    there = set(await admin.list_topics())
    missing = [
        # without assignments aiokafka refuses -1, which leaves replication to the broker
        NewTopic(name, shards, -1, replica_assignments={}, topic_configs=config)
        for name, config in wanted.items()
        if name not in there
    ]
    if missing:
        answer = await admin.create_topics(missing)
        for name, code, reason, *_ in answer.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise SourceError(f"kafka refuses to create {name}: {for_code(code).__name__} {reason or ''}")
    for topic in await admin.describe_topics(list(wanted)):
        found = len(topic["partitions"])
        if found not in (0, shards):
            raise SourceError(
                f"topic {topic['topic']} has {found} partitions, settings.shards is {shards}: set it to "
                f"{found}, or start anew under another kafka.group"
            )
