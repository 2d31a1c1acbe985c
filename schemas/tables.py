"""The ClickHouse tables that driftline writes, as Arrow schemas; `schemas/ddl` has them as SQL.

Columns of identity fields carry the OpenTelemetry names with dots as underscores (`COLUMN`); an absent
string is ``''``. ``ingested_at``, the one wall-clock column, is left to the server.
"""

import pyarrow as pa

from schemas.identity import IDENTITY_FIELDS, OTEL_ATTRIBUTE

#: Times of rows.
MS = pa.timestamp("ms", "UTC")
_ID = pa.binary(16)
_TAGS = pa.map_(pa.utf8(), pa.utf8())

#: The column an identity field is stored in.
COLUMN: dict[str, str] = {
    field: OTEL_ATTRIBUTE[field].removeprefix("driftline.").replace(".", "_") for field in IDENTITY_FIELDS
}

#: Identity fields with a column of their own in `EVENTS`; the others are in ``attributes``, by OTel name.
EVENT_IDENTITY: tuple[str, ...] = (
    "environment",
    "service",
    "service_version",
    "provider",
    "request_model",
    "region",
    "cluster",
    "node",
    "replica",
    "route",
    "gpu",
)

EVENTS = pa.schema(
    [
        ("event_id", _ID),
        ("fingerprint", pa.uint64()),
        ("revision", pa.uint32()),
        ("window_start", MS),
        ("window_end", MS),
        ("detected_at", MS),
        ("updated_at", MS),
        ("paged_at", MS),
        ("topic", pa.utf8()),
        ("signal", pa.utf8()),
        ("statistic", pa.utf8()),
        ("side", pa.utf8()),
        ("unit", pa.utf8()),
        ("kind", pa.utf8()),
        ("status", pa.utf8()),
        ("severity", pa.utf8()),
        ("symptom", pa.utf8()),
        ("detector", pa.utf8()),
        ("detector_version", pa.utf8()),
        ("score", pa.float64()),
        ("threshold", pa.float64()),
        ("p_value", pa.float64()),
        ("baseline_value", pa.float64()),
        ("observed_value", pa.float64()),
        ("sample_count", pa.uint64()),
        ("calibration", pa.utf8()),
        ("config_hash", pa.utf8()),
        *((COLUMN[field], pa.utf8()) for field in EVENT_IDENTITY),
        ("attributes", _TAGS),
        ("exemplar_trace_ids", pa.list_(pa.utf8())),
        ("summary", pa.utf8()),
        ("runbook_url", pa.utf8()),
        ("dashboard_url", pa.utf8()),
        ("suppressed_by", pa.list_(pa.utf8())),
    ]
)

WINDOWS = pa.schema(
    [
        ("event_id", _ID),
        ("window_start", MS),
        ("window_end", MS),
        ("score", pa.float64()),
        ("p_value", pa.float64()),
        ("observed_value", pa.float64()),
        ("expected_low", pa.float64()),
        ("expected_high", pa.float64()),
        ("sample_count", pa.uint64()),
    ]
)

#: What a shard puts into ``Emission.buckets``: one row per (slice, topic, signal, attribute, closed bucket).
#: ``bucket_start`` may be int64 Unix ms, strings may be dictionaries, and identity fields (under their own
#: names) that no slice uses may be left out. ``sum`` is in multiples of the signal's step; ``count``, ``sum``
#: and the sparse log histogram are those of `operators.cells`.
BUCKETS = pa.schema(
    [
        ("bucket_start", MS),
        ("bucket_s", pa.uint32()),
        ("topic", pa.utf8()),
        ("signal", pa.utf8()),
        ("attribute", pa.utf8()),
        ("count", pa.int64()),
        ("sum", pa.int64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("bins", pa.list_(pa.int32())),
        ("bin_counts", pa.list_(pa.int64())),
        *((field, pa.utf8()) for field in IDENTITY_FIELDS),
    ]
)

#: The column a field of `BUCKETS` is stored in.
BUCKET_COLUMN = COLUMN | {"count": "samples", "sum": "sum_steps", "min": "value_min", "max": "value_max"}

#: Rows of ``signal_buckets``.
BUCKET_ROWS = pa.schema(
    [pa.field(BUCKET_COLUMN.get(f.name, f.name), f.type) for f in BUCKETS]
    + [pa.field("unit", pa.utf8()), pa.field("step", pa.float64()), pa.field("slice", pa.utf8())]
)

#: Rows of ``change_revisions``; the view ``change_events`` merges the revisions of a change.
CHANGES = pa.schema(
    [
        ("change_id", pa.utf8()),
        ("event_time", MS),
        ("change_type", pa.utf8()),
        ("status", pa.utf8()),
        ("summary", pa.utf8()),
        ("from_ref", pa.utf8()),
        ("to_ref", pa.utf8()),
        ("rollback_ref", pa.utf8()),
        ("expected", pa.bool_()),
        ("ends_at", MS),
        ("author", pa.utf8()),
        ("url", pa.utf8()),
        *((COLUMN[field], pa.utf8()) for field in IDENTITY_FIELDS),
    ]
)

EDGES = pa.schema([("src", pa.utf8()), ("dst", pa.utf8()), ("relation", pa.utf8()), ("seen_at", MS)])

INCIDENTS = pa.schema(
    [
        ("incident_id", _ID),
        ("version", pa.uint64()),
        ("status", pa.utf8()),
        ("severity", pa.utf8()),
        ("title", pa.utf8()),
        ("started_at", MS),
        ("detected_at", MS),
        ("paged_at", MS),
        ("last_seen_at", MS),
        ("resolved_at", MS),
        ("symptom", pa.utf8()),
        ("layer", pa.utf8()),
        ("layer_probabilities", pa.map_(pa.utf8(), pa.float64())),
        ("failure_kind", pa.utf8()),
        ("confidence", pa.float64()),
        ("action", pa.utf8()),
        ("action_reason", pa.utf8()),
        ("action_ref", pa.utf8()),
        ("identity", _TAGS),
        ("has_root", pa.bool_()),
        ("root", _TAGS),
        ("affected", pa.list_(_TAGS)),
        ("first_affected", _TAGS),
        ("signals", pa.list_(pa.utf8())),
        ("event_ids", pa.list_(_ID)),
        ("suspect_change_ids", pa.list_(pa.utf8())),
        ("suspect_scores", pa.list_(pa.float64())),
        ("suspect_reasons", pa.list_(pa.list_(pa.utf8()))),
        ("blast_radius", pa.map_(pa.utf8(), pa.float64())),
        ("merged_into", _ID),
        ("detected_by", pa.utf8()),
        ("config_hash", pa.utf8()),
    ]
)

#: Running totals of a run (``in = accepted + refused + ignored + late + duplicate`` per topic); the highest
#: ``revision`` of a (run, topic, outcome, reason) wins, so that writing totals again counts nothing twice.
ACCOUNTS = pa.schema(
    [
        ("run_id", pa.utf8()),
        ("topic", pa.utf8()),
        ("outcome", pa.utf8()),
        ("reason", pa.utf8()),
        ("samples", pa.uint64()),
        ("revision", pa.uint64()),
    ]
)
