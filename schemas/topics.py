"""The topics, as `topics.yaml` declares them."""

from importlib.resources import files
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct


class TopicSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one topic is for and how it is kept."""

    description: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    form: str
    key: str
    partitions: Annotated[int, Meta(ge=1)]
    cleanup: Literal["delete", "compact"]
    retention_ms: Annotated[int, Meta(ge=-1)]
    max_message_bytes: Annotated[int, Meta(ge=1)]
    compatibility: str

    @property
    def config(self) -> dict[str, str]:
        """Its configuration in Kafka's words."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
        }


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    inputs: dict[str, TopicSpec]
    outputs: dict[str, TopicSpec]
    dead_letters: TopicSpec


def _load() -> _File:
    return msgspec.yaml.decode(files("schemas").joinpath("topics.yaml").read_bytes(), type=_File)


def _dead_letters(topic: str, template: TopicSpec) -> TopicSpec:
    return msgspec.structs.replace(
        template,
        description=template.description.format(topic=topic),
        consumers=tuple(consumer.format(topic=topic) for consumer in template.consumers),
    )


_file = _load()

#: Topics driftline reads, by canonical name.
INPUT_TOPICS: tuple[str, ...] = tuple(_file.inputs)
#: Topics driftline writes, dead letters aside.
OUTPUT_TOPICS: tuple[str, ...] = tuple(_file.outputs)
#: All topics, dead-letter topics included.
TOPICS: dict[str, TopicSpec] = {
    **_file.inputs,
    **_file.outputs,
    **{f"{topic}.dlq": _dead_letters(topic, _file.dead_letters) for topic in _file.inputs},
}
