"""The cell table: partial scalar sketches at the finest cell the slices can tell apart.

A chunk is folded once, into cells; slices are made by merging cells when their bucket closes. Merging adds
integers, takes min and max, and unites point lists, so it is associative and commutative to the bit.
"""

import pyarrow as pa

from operators.settings import Slicing

#: Bins of the log histogram: bin ``i`` holds values in (GAMMA**(i-1), GAMMA**i]; 2 % relative error.
GAMMA = 1.02 / 0.98
#: The bin of values that are zero (or below 1e-9).
ZERO_BIN = -(2**15)

_NAME = pa.dictionary(pa.int32(), pa.utf8())

#: Columns every cell has beside its slice fields. A cell is told apart by bucket, topic, signal, attribute,
#: stream and slice fields; all other columns add up.
#:
#: ``count``: samples behind the cell. ``sum``: their values in multiples of the signal's step, so that
#: ``sum * step`` is the total, of whatever kind: for ratios of trials ``count`` is the trials and
#: ``sum * step`` the hits. ``bins``/``bin_counts``: the sparse log histogram of plain values, sorted by bin;
#: empty for trials and counts. ``point_times``/``point_values``: readings of a cumulative counter or of XID,
#: sorted by (time, value), in cells of their own: ``stream`` (null elsewhere) tells the sources apart that
#: share a cell, so that a counter is never differenced against another's. There ``count`` is the readings
#: and ``sum`` 0.
#:
#: ``attribute`` is "" for the whole signal. Shares have one row an attribute value and their trials in the
#: whole row's ``count``: share = the attribute's ``sum * step`` / the whole's ``count``. These are:
#:
#: * ``gen_ai.output.finish_reason_share`` by reason; ``gen_ai.server.errors`` by ``error_type``
#: * ``gen_ai.output.script_share``: ``share:<script>`` (sum of shares), ``present:<script>`` (responses)
#: * ``hw.gpu.throttle_time``: ``share:<throttle reason>``; its point cells are ``thermal`` and ``power``
#:
#: Errors, timeouts and cancellations of requests: ``count`` completions, ``sum`` hits. The attribute
#: ``started`` of ``gen_ai.server.completions`` counts arrivals, so that stalled completions show within one
#: shard. ``hw.temperature``: ``gpu`` and ``memory``. ``hw.errors`` points: ``corrected``, ``uncorrected``,
#: ``row_remap``, ``xid`` (codes, 0 included: none). On metrics topics ``count`` of a count signal is its data
#: points, so no ratio stands on it. Delta histograms fold into ``bins``; cumulative ones are point cells with
#: the attribute ``bin:<lower>:<upper>``, spread over log bins once differenced
#: (`operators.fold.histograms.spread`).
CELL_COLUMNS: tuple[tuple[str, pa.DataType], ...] = (
    ("bucket", pa.int64()),
    ("topic", _NAME),
    ("signal", _NAME),
    ("attribute", _NAME),
    ("count", pa.int64()),
    ("sum", pa.int64()),
    ("min", pa.float64()),
    ("max", pa.float64()),
    ("bins", pa.list_(pa.int32())),
    ("bin_counts", pa.list_(pa.int64())),
    ("point_times", pa.list_(pa.int64())),
    ("point_values", pa.list_(pa.float64())),
    ("stream", pa.int64()),
)


def cell_fields(slicing: Slicing) -> tuple[str, ...]:
    """Identity fields that tell cells apart: the union of the slices', in the order first named."""
    return tuple(dict.fromkeys(name for fields in slicing.sets for name in fields))


def cell_schema(slicing: Slicing) -> pa.Schema:
    """Arrow schema of the cell table for these slices; slice fields are nullable dictionary strings."""
    fields = [pa.field(name, _NAME) for name in cell_fields(slicing)]
    return pa.schema([pa.field(name, kind) for name, kind in CELL_COLUMNS] + fields)
