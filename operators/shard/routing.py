"""Which shard a series belongs to: a stable hash, the same on every machine and run."""

import hashlib
from functools import lru_cache

#: Signals that explain each other's absence meet in one shard per service: what was started, what came
#: back, who was to serve it, and whether the telemetry itself still comes.
FLOW_SIGNALS: frozenset[str] = frozenset(
    {
        "gen_ai.server.arrivals",
        "gen_ai.server.completions",
        "gen_ai.server.errors",
        "gen_ai.server.timeouts",
        "gen_ai.server.cancellations",
        "gen_ai.server.replicas_ready",
        "gen_ai.server.replicas_desired",
        "gen_ai.server.restarts",
        "producer.heartbeat",
    }
)


@lru_cache(maxsize=65_536)
def shard_of(service: str | None, request_model: str | None, signal: str, shards: int) -> int:
    """Shard of a signal of a service and model, 0 to ``shards`` - 1; embeddings pass ``embedding``.

    Siblings (replicas, versions) share a shard, and so do both sides of the embeddings; the flow signals
    of a service share one over all its models.
    """
    parts = (
        (service or "", "", "flow")
        if signal in FLOW_SIGNALS
        else (service or "", request_model or "", signal)
    )
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards
