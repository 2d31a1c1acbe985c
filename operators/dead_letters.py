"""What became of a sample that was refused."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused sample, for ``<topic>.dlq``.

    ``value`` is kept only for JSON that parses and holds neither vectors nor text; ``length`` (bytes) and
    ``sha256`` (hex) are always there.
    """

    reason: str
    detail: str
    topic: str
    partition: str
    offset: int
    length: int
    sha256: str
    value: bytes | None = None
