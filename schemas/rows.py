"""From outputs to rows of the ClickHouse tables, and back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.identity import IDENTITY_FIELDS, OTEL_ATTRIBUTE
from schemas.outputs import AnomalyEvent, AnomalyWindow, Incident, Suspect
from schemas.records import ChangeRecord
from schemas.signals import SIGNALS
from schemas.tables import (
    ACCOUNTS,
    BUCKET_ROWS,
    BUCKETS,
    CHANGES,
    COLUMN,
    EDGES,
    EVENT_IDENTITY,
    EVENTS,
    INCIDENTS,
    MS,
    WINDOWS,
)

T = TypeVar("T")

_EPOCH = datetime.fromtimestamp(0, UTC)


class Count(NamedTuple):
    """One line of the accounts: samples of a topic that ended so, for this reason (or name, or producer)."""

    topic: str
    outcome: str
    reason: str
    samples: int


def events_table(events: Iterable[AnomalyEvent]) -> pa.Table:
    """Rows of ``anomaly_events``."""

    def row(event: AnomalyEvent) -> dict[str, Any]:
        promoted = {COLUMN[name]: event.identity.get(name, "") for name in EVENT_IDENTITY}
        others = {OTEL_ATTRIBUTE[k]: v for k, v in event.identity.items() if k not in EVENT_IDENTITY}
        plain = _fields(event) | promoted
        plain["event_id"] = event.event_id.bytes
        plain["fingerprint"] = int(event.fingerprint, 16)
        plain["side"] = event.side or ""
        plain["attributes"] = list((event.attributes | others).items())
        return plain

    return _table(EVENTS, map(row, events))


def windows_table(windows: Iterable[AnomalyWindow]) -> pa.Table:
    """Rows of ``anomaly_windows``."""
    return _table(WINDOWS, (_fields(window) | {"event_id": window.event_id.bytes} for window in windows))


def bucket_rows(buckets: pa.Table) -> pa.Table:
    """Rows of ``signal_buckets`` from a shard's closed buckets (`BUCKETS`), with units, steps and slices."""
    columns = {
        field.name: _text(buckets, field)
        if pa.types.is_string(field.type)
        else buckets[field.name].cast(field.type)
        for field in BUCKETS
    }
    names = pc.dictionary_encode(columns["signal"]).combine_chunks()
    known = [SIGNALS.get(name) for name in names.dictionary.to_pylist()]
    unit = pa.array([signal.unit if signal else "" for signal in known], pa.utf8())
    step = pa.array([signal.step if signal else 1.0 for signal in known], pa.float64())
    slices = _slices([columns[field] for field in IDENTITY_FIELDS], buckets.num_rows)
    added = (unit.take(names.indices), step.take(names.indices), slices)
    return pa.table([*columns.values(), *added], schema=BUCKET_ROWS)


def _slices(identity: Sequence[pa.ChunkedArray | pa.Array], rows: int) -> pa.Array:
    """Names of the identity fields that a row has, by comma: few different ones, so made once each."""
    present = np.zeros(rows, np.int64)
    for place, column in enumerate(identity):
        present |= np.asarray(pc.not_equal(column, "")).astype(np.int64) << place
    codes, inverse = np.unique(present, return_inverse=True)
    texts = [
        ",".join(f for place, f in enumerate(IDENTITY_FIELDS) if code >> place & 1) for code in codes.tolist()
    ]
    return pa.array(texts, pa.utf8()).take(pa.array(inverse))


def changes_table(changes: Iterable[ChangeRecord]) -> pa.Table:
    """Rows of ``change_revisions``."""

    def row(change: ChangeRecord) -> dict[str, Any]:
        identity = {COLUMN[name]: getattr(change, name) or "" for name in IDENTITY_FIELDS}
        ends_at = None if change.ends_at is None else _ms(change.ends_at)
        text = ("status", "summary", "rollback_ref", "author", "url")
        return (
            {name: getattr(change, name) or "" for name in text}
            | {"change_id": change.change_id, "change_type": change.change_type, "expected": change.expected}
            | {"event_time": _ms(change.event_time), "ends_at": ends_at}
            | {"from_ref": change.from_ or "", "to_ref": change.to or ""}
            | identity
        )

    return _table(CHANGES, map(row, changes))


def edges_table(edges: Iterable[tuple[str, str, str]], seen_at: int) -> pa.Table:
    """Rows of ``topology_edges`` from (source, destination, relation), seen at ``seen_at`` (Unix ms)."""
    rows = sorted(set(edges))
    return _table(EDGES, ({"src": a, "dst": b, "relation": r, "seen_at": seen_at} for a, b, r in rows))


def incidents_table(incidents: Iterable[Incident]) -> pa.Table:
    """Rows of ``incidents``."""

    def row(incident: Incident) -> dict[str, Any]:
        plain = _fields(incident)
        suspects = incident.suspects
        return plain | {
            "incident_id": incident.incident_id.bytes,
            "action_ref": incident.action_ref or "",
            "layer_probabilities": list(incident.layer_probabilities.items()),
            "identity": list(incident.identity.items()),
            "has_root": incident.root is not None,
            "root": list((incident.root or {}).items()),
            "affected": [list(identity.items()) for identity in incident.affected],
            "first_affected": list(incident.first_affected.items()),
            "event_ids": [event_id.bytes for event_id in incident.event_ids],
            "suspect_change_ids": [suspect.change_id for suspect in suspects],
            "suspect_scores": [suspect.score for suspect in suspects],
            "suspect_reasons": [suspect.reasons for suspect in suspects],
            "blast_radius": list(incident.blast_radius.items()),
            "merged_into": incident.merged_into and incident.merged_into.bytes,
        }

    return _table(INCIDENTS, map(row, incidents))


def accounts_table(run_id: str, revision: int, counts: Iterable[Count]) -> pa.Table:
    """Rows of ``ingest_accounts``: the running totals of a run, as of its ``revision``-th flush."""
    return _table(ACCOUNTS, (c._asdict() | {"run_id": run_id, "revision": revision} for c in counts))


def read_events(table: pa.Table) -> list[AnomalyEvent]:
    """Events from the columns of `EVENTS`, as the store's ``query`` returns them."""
    field_of = {OTEL_ATTRIBUTE[name]: name for name in IDENTITY_FIELDS}

    def event(row: dict[str, Any]) -> AnomalyEvent:
        tags = dict(row["attributes"])
        identity = {field_of[k]: v for k, v in tags.items() if k in field_of}
        identity |= {name: row[COLUMN[name]] for name in EVENT_IDENTITY if row[COLUMN[name]]}
        row["identity"] = {name: identity[name] for name in IDENTITY_FIELDS if name in identity}
        row["attributes"] = {k: v for k, v in tags.items() if k not in field_of}
        row["fingerprint"] = f"{row['fingerprint']:016x}"
        row["side"] = row["side"] or None
        return msgspec.convert(row, AnomalyEvent)

    return _read(table, EVENTS, event)


def read_windows(table: pa.Table) -> list[AnomalyWindow]:
    """Windows from the columns of `WINDOWS`."""
    return _read(table, WINDOWS, lambda row: msgspec.convert(row, AnomalyWindow))


def read_incidents(table: pa.Table) -> list[Incident]:
    """Incidents from the columns of `INCIDENTS`."""

    def incident(row: dict[str, Any]) -> Incident:
        suspects = zip(row["suspect_change_ids"], row["suspect_scores"], row["suspect_reasons"], strict=True)
        row["suspects"] = [Suspect(change_id=c, score=s, reasons=tuple(r)) for c, s, r in suspects]
        row["root"] = dict(row["root"]) if row["has_root"] else None
        row["action_ref"] = row["action_ref"] or None
        row["affected"] = [dict(identity) for identity in row["affected"]]
        for name in ("layer_probabilities", "identity", "first_affected", "blast_radius"):
            row[name] = dict(row[name])
        return msgspec.convert(row, Incident)

    return _read(table, INCIDENTS, incident)


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _table(schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema)


def _read(table: pa.Table, schema: pa.Schema, build: Callable[[dict[str, Any]], T]) -> list[T]:
    columns = [_plain(table[field.name], field.type) for field in schema]
    return [build(dict(zip(schema.names, values, strict=True))) for values in zip(*columns, strict=True)]


def _plain(column: pa.ChunkedArray, kind: pa.DataType) -> Sequence[Any]:
    if kind == MS:
        values: list[Any] = column.cast(pa.int64()).to_pylist()
        return values
    values = column.to_pylist()
    return [UUID(bytes=v) if isinstance(v, bytes) else v for v in values]


def _text(table: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    if field.name not in table.column_names:
        return pa.repeat(pa.scalar("", pa.utf8()), table.num_rows)
    return table[field.name].cast(pa.utf8()).fill_null("")


def _ms(time: datetime | int) -> int:
    if isinstance(time, int):
        return time
    return (time - _EPOCH) // timedelta(milliseconds=1)
