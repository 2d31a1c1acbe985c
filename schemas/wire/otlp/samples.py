"""The account of one OTLP record: which of its points or spans became rows, are refused, or ignored."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw

from schemas.chunk import Decoded, Refusal
from schemas.names.text import TEXT_FIELDS
from schemas.names.text import holds_text as json_holds_text
from schemas.wire.draft import Draft
from schemas.wire.otlp.attributes import Value, holds_text
from schemas.wire.reasons import MAX_SAMPLES, Reason, Refused, refusal, short

_TEXT_KEY = re.compile(rb'"(?:' + "|".join(map(re.escape, sorted(TEXT_FIELDS))).encode() + rb')"\s*:')
_ANY = msgspec.json.Decoder()


class Samples:
    """Counts samples as they come; rows keep their message until the last checks are made."""

    def __init__(self, body: bytes, is_json: bool) -> None:
        self.refused: list[tuple[int, Refusal]] = []
        self.ignored: Counter[str] = Counter()
        self.messages: list[Any] = []
        self.row: list[int] = []
        self._seen = 0
        # Text under a JSON key that is no attribute is looked for only where the bytes name one at all.
        self._suspect = is_json and (_TEXT_KEY.search(body) is not None or b"\\u" in body)
        self._text_around = self._suspect and json_holds_text(_without_samples(_ANY.decode(body)))

    def next(self, message: Any, kind: Any, text_around: bool) -> Any | None:
        """Count one sample and check it for text.

        Args:
            message: A protobuf message, or raw JSON.
            kind: The struct raw JSON is decoded to.
            text_around: A resource, scope or metric around it carries text.

        Returns:
            The message, decoded; ``None`` where it was refused.
        """
        self._seen += 1
        if self._seen > MAX_SAMPLES:
            raise Refused("too_large", f"more than {MAX_SAMPLES} samples")
        if text_around or self._text_around:
            self.refuse(message, "text_field", "a resource or scope that carries text")
            return None
        try:
            return self._parse(message, kind)
        except Refused as refused:
            self.refuse(message, refused.reason, refused.detail)
            return None

    def _parse(self, message: Any, kind: Any) -> Any:
        if not isinstance(message, Raw):
            return message
        try:
            if self._suspect and json_holds_text(_ANY.decode(message)):
                raise Refused("text_field", "a field that carries text")
            return msgspec.json.decode(message, type=kind, strict=False)
        except (ValueError, RecursionError):
            raise Refused("wrong_type", "not as OTLP/JSON has it") from None

    def refuse(self, message: Any, reason: Reason, detail: str) -> None:
        """Refuse the sample counted last."""
        self.refused.append((self._seen - 1, refusal(reason, detail, bytes_of(message))))

    def ignore(self, name: str) -> None:
        """Ignore the sample counted last, by this name."""
        self.ignored[short(name)] += 1

    def accept(self, message: Any) -> None:
        """Make the sample counted last a row."""
        self.row.append(self._seen - 1)
        self.messages.append(message)

    def rows(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Each row's index in its record."""
        return np.array(self.row, np.int32)

    def decoded(self, draft: Draft, topic: str, broker_time_ms: int | None, ahead_s: float) -> Decoded:
        """Make the last checks and sum up."""
        chunks = draft.chunks(topic, broker_time_ms, ahead_s)
        for index, (reason, detail) in draft.refused.items():
            account = refusal(reason, detail, bytes_of(self.messages[index]))
            self.refused.append((self.row[index], account))
        ordered = tuple(account for _, account in sorted(self.refused, key=lambda entry: entry[0]))
        self.ignored.update(draft.ignored_by_name())
        return Decoded(tuple(chunks), ordered, dict(self.ignored))


def bytes_of(message: Any) -> bytes:
    """A sample's own bytes: as it was in JSON, or its protobuf encoding."""
    if isinstance(message, Raw):
        return bytes(message)
    if isinstance(message, msgspec.Struct):
        return msgspec.json.encode(message)
    encoded: bytes = message.SerializeToString()
    return encoded


def _without_samples(value: Any) -> Any:
    """A decoded record without its points and spans."""
    if isinstance(value, dict):
        return {
            name: _without_samples(item)
            for name, item in value.items()
            if name not in ("dataPoints", "spans")
        }
    return [_without_samples(item) for item in value] if isinstance(value, list) else value


def carries(*attributes: dict[str, Value]) -> bool:
    """Whether any of these sets of attributes carries text."""
    return any(holds_text(values) for values in attributes)


def each(groups: Any) -> Iterator[Any]:
    """Items of a repeated field, which JSON may leave out or set to null."""
    return iter(groups or ())
