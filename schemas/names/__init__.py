"""Names others use for what driftline reads: signals, GPU fields, identity, and text that is refused.

One table for each, and only here: a new server, exporter or convention is a new row.
"""

from schemas.names.attributes import identity_of
from schemas.names.gpu import GPU_FIELDS, GPU_LABELS, GpuAlias
from schemas.names.metrics import ALIASES, BOUNDS, UNREAD, Alias, resolve, unit_factor
from schemas.names.text import TEXT_FIELDS, carries_text

__all__ = [
    "ALIASES",
    "BOUNDS",
    "GPU_FIELDS",
    "GPU_LABELS",
    "TEXT_FIELDS",
    "UNREAD",
    "Alias",
    "GpuAlias",
    "carries_text",
    "identity_of",
    "resolve",
    "unit_factor",
]
