"""Dead letters on the wire: why a sample was refused, where it was, and its bytes where they are kept."""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from operators.dead_letters import DeadLetter

_FIELDS = ("reason", "detail", "topic", "partition", "offset", "length", "sha256")
_PREFIX = "driftline_"
#: On a record that was sent again: the place of its dead letter, so that it is not sent twice.
REPLAYED = "driftline_replayed_from"


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
    headers = [(f"{_PREFIX}{name}", str(value).encode()) for name, value in _about(letter).items()]
    return headers, letter.value or b""


def letter_of_record(headers: Mapping[str, bytes], value: bytes) -> DeadLetter:
    """What `dlq_record` made; raises `ValueError` where it did not make it."""
    try:
        found = {name: headers[f"{_PREFIX}{name}"].decode() for name in _FIELDS}
    except KeyError as missing:
        raise ValueError(f"no dead letter: header {missing} is missing") from None
    return _letter(found, value or None)


def letter_of_json(line: bytes) -> DeadLetter:
    """What `dlq_json` made; raises `ValueError` where it did not make it."""
    found = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    value = bytes(found.get("value", b"null"))
    if (packed := found.get("value_base64")) is not None:
        value = base64.b64decode(msgspec.json.decode(packed, type=str))
    try:
        about = {name: msgspec.json.decode(found[name]) for name in _FIELDS}
    except KeyError as missing:
        raise ValueError(f"no dead letter: field {missing} is missing") from None
    return _letter(about, None if value == b"null" else value)


def _letter(about: Mapping[str, Any], value: bytes | None) -> DeadLetter:
    whole = {"offset": int(about["offset"]), "length": int(about["length"])}
    return DeadLetter(**{**about, **whole}, value=value)


def _about(letter: DeadLetter) -> dict[str, Any]:
    return {name: getattr(letter, name) for name in _FIELDS}
