"""The stateful half of the core: messages of a shard to closed buckets and event revisions."""

from operators.shard.core import Shard

__all__ = ["Shard"]
