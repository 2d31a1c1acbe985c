"""What a record's bytes are: schema-registry framing taken off, then told by topic and first byte."""

import string
from typing import Literal

from schemas.wire.reasons import Refused

Encoding = Literal["json", "arrow_stream", "arrow_file", "otlp_json", "otlp_proto"]

_SPACE = b" \t\r\n"
_MAGIC_ID, _MAGIC_GUID = 0, 1


def unframe(value: bytes, *, protobuf: bool) -> bytes:
    """Take Confluent framing off: ``0x00`` and a 4-byte schema id, or ``0x01`` and a 16-byte GUID.

    Args:
        value: A Kafka record's value.
        protobuf: The payload may be protobuf, which carries its message-index array before the message.

    Raises:
        Refused: The frame is cut short.
    """
    if not value or value[0] not in (_MAGIC_ID, _MAGIC_GUID):
        return value
    header = 5 if value[0] == _MAGIC_ID else 17
    if len(value) < header:
        raise Refused("framing", "a schema registry's frame, cut short")
    payload = value[header:]
    # A message starts with tag 0x0a and JSON with a brace; neither is a sensible count of indexes.
    return payload if not protobuf or payload[:1] in (b"{", b"\n") else _skip_message_index(payload)


def _skip_message_index(payload: bytes) -> bytes:
    """Zig-zag varints: how many, then the indexes; the usual ``[0]`` is the one byte 0."""
    count, at = _varint(payload, 0)
    if count & 1:
        raise Refused("framing", "a message index of negative length")
    for _ in range(min(count >> 1, len(payload))):
        _, at = _varint(payload, at)
    return payload[at:]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
    raise Refused("framing", "a message index, cut short")


def sniff(body: bytes, *, otlp: bool) -> tuple[Encoding, bytes]:
    """The encoding of an unframed body, and the body from its first significant byte.

    Raises:
        Refused: It starts like nothing that is read.
    """
    if otlp:
        return ("otlp_json" if body[:1] == b"{" else "otlp_proto"), body
    first = body[:1]
    if first and first in _SPACE:
        body = body.lstrip(_SPACE)
        first = body[:1]
    if first in (b"{", b"["):
        return "json", body
    if first == b"\xff":
        return "arrow_stream", body
    if first == b"A":
        return "arrow_file", body
    if not first:
        raise Refused("framing", "nothing in it")
    if first.decode("latin-1") in string.printable:
        raise Refused("framing", "neither JSON nor Arrow")
    raise Refused("framing", "an unknown encoding")
