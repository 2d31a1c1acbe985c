"""Why a sample is refused, and what is kept of it: length and SHA-256, never text or vectors."""

import hashlib
import re
from typing import Literal

from schemas.chunk import Decoded, Refusal
from schemas.names.text import TEXT_FIELDS

Reason = Literal[
    # the record as a whole
    "unknown_topic",
    "too_large",
    "framing",
    # one sample
    "not_json",
    "not_an_object",
    "text_field",
    "missing_field",
    "wrong_type",
    "unknown_value",
    "out_of_range",
    "not_finite",
    "bad_time",
    "future_time",
    "bad_vector",
    "bad_histogram",
    "unknown_signal",
]

#: Decoded size of a record, bytes.
MAX_BYTES = 16 * 2**20
#: Samples of a record: about what 16 MiB of the smallest valid ones hold; bounds what a bad record can cost.
MAX_SAMPLES = 2**20

#: Field names reported for a record; longer ones are cut, so that no text hides in a name.
_LONGEST_NAME = 128


class Refused(Exception):
    """Raised inside decoding for one sample or, before samples are known, for the whole record."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail


def refusal(reason: Reason, detail: str, data: bytes, *, keep: bool = False) -> Refusal:
    """The account of one refused sample.

    Args:
        reason: Which rule it broke.
        detail: Where and how, without any value of the sample.
        data: Its bytes; of these only length and SHA-256 stay.
        keep: The sample parses as JSON and may be kept as it is, unless its bytes name text or a vector.
    """
    secret = not keep or _NAMES_SECRET.search(_plain(data)) or _LOOKS_LIKE_VECTOR.search(data)
    value = None if secret else bytes(data)
    return Refusal(reason, detail, len(data), hashlib.sha256(data).hexdigest(), value)


def whole(reason: Reason, detail: str, data: bytes) -> Decoded:
    """A record refused as one framing error."""
    return Decoded(refused=(refusal(reason, detail, data),))


def short(name: str) -> str:
    """A name cut to a length at which it cannot carry text."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


# Duplicate keys hide from a parsed object, so what may be kept is decided on the bytes.
_SECRET_SEGMENTS = sorted(
    {name.rpartition(".")[2] for name in TEXT_FIELDS} | {"vector", "vectors", "embedding", "embeddings"}
)
_NAMES_SECRET = re.compile(rb'["\.](?:' + "|".join(map(re.escape, _SECRET_SEGMENTS)).encode() + rb')"\s*:')
# A vector under any other name: an array of many numbers, or a long run of base64.
_LOOKS_LIKE_VECTOR = re.compile(rb'\[[\s\d.,eE+-]{64,}|"[A-Za-z0-9+/=_-]{256,}"')
_ESCAPED = re.compile(rb"\\u00([2-7][0-9a-fA-F])")


def _plain(data: bytes) -> bytes:
    r"""JSON bytes with ``\u00xx`` escapes of ASCII letters undone, so that an escaped name is seen."""
    if b"\\u" not in data:
        return data
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), data)
