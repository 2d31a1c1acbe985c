"""How a broker is reached, in driftline's words; each client library's file says it in that library's."""

from msgspec import Struct

#: The largest record sent: the largest that is read (16 MiB), and room for its headers.
MAX_RECORD_BYTES = 17 * 2**20
_BEGINS_S = 120.0


class KafkaOptions(Struct, frozen=True, kw_only=True):
    """Secrets are here already, read from where the config names them, so an instance is never shown.

    ``start``: where to read a partition from that the group has committed nothing of.
    ``max_poll_records``: many small records read together cost a third of what few do.
    ``bootstrap_timeout_s``: how long the broker may take to answer at first; ``timeout_s``: later, see
    `patience_s`.
    """

    servers: str
    group: str = "driftline"
    start: str = "earliest"
    security_protocol: str = "PLAINTEXT"
    ssl_ca_file: str | None = None
    ssl_cert_file: str | None = None
    ssl_key_file: str | None = None
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = None
    api_version: tuple[int, int] | None = None
    max_poll_records: int = 10_000
    bootstrap_timeout_s: float = 10.0
    timeout_s: float = 10.0

    def patience_s(self, *, begun: bool) -> float:
        """How long a question may take: before reading has ``begun`` logs and groups may open late."""
        return self.timeout_s if begun else max(_BEGINS_S, self.timeout_s)

    def __repr__(self) -> str:
        return f"KafkaOptions(servers={self.servers!r}, group={self.group!r})"
