"""Dead letters on the wire: why a sample was refused, where it was, and its bytes where they are kept."""

import base64
from typing import Any

import msgspec

from operators.dead_letters import DeadLetter


def dlq_topic(topic: str) -> str:
    """The dead-letter topic of a topic."""
    return f"{topic}.dlq"


def dlq_json(letter: DeadLetter) -> bytes:
    """One line of a dead-letter file; ``value`` as JSON, ``value_base64`` if it is none, null if not kept."""
    fields: dict[str, Any] = _about(letter)
    fields["value"] = None
    if letter.value is not None:
        try:
            msgspec.json.decode(letter.value)
        except msgspec.DecodeError:
            fields["value_base64"] = base64.b64encode(letter.value).decode()
        else:
            fields["value"] = msgspec.Raw(b" ".join(letter.value.splitlines()))
    return msgspec.json.encode(fields)


def dlq_record(letter: DeadLetter) -> tuple[list[tuple[str, bytes]], bytes]:
    """Headers and value of a dead-letter Kafka record; the value is empty where the bytes are not kept."""
    headers = [(f"driftline_{name}", str(value).encode()) for name, value in _about(letter).items()]
    return headers, letter.value or b""


def _about(letter: DeadLetter) -> dict[str, Any]:
    names = ("reason", "detail", "topic", "partition", "offset", "length", "sha256")
    return {name: getattr(letter, name) for name in names}
