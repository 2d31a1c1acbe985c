"""What became of a refused sample: why and where, and the bytes only where they may be kept."""

from dataclasses import dataclass

from schemas.chunk import Refusal


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused sample, on its way to ``<topic>.dlq``.

    ``length`` and ``sha256`` are of the sample where it has bytes of its own, else of its record.
    ``value`` is kept only for JSON that parses and holds neither vectors nor text fields.
    """

    reason: str
    detail: str
    topic: str
    partition: str
    offset: int
    length: int
    sha256: str
    value: bytes | None = None

    @classmethod
    def of(cls, refusal: Refusal, topic: str, partition: str, offset: int) -> "DeadLetter":
        """A refusal with the place its record came from."""
        return cls(
            refusal.reason,
            refusal.detail,
            topic,
            partition,
            offset,
            refusal.length,
            refusal.sha256,
            refusal.value,
        )
