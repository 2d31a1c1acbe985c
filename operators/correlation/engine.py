"""Correlation against the store: read episodes and changes, decide, write the incidents that changed.

Nothing is kept between runs: groups are made anew from the episodes of the horizon, and an incident keeps its
id through the first stored incident that holds one of its members.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol
from uuid import UUID

import pyarrow as pa
from msgspec.structs import replace

from operators.correlation.episodes import Topology, episode
from operators.correlation.grouping import Group, group
from operators.correlation.incidents import Context, as_of_now, first_id, moved_prompts, tell
from operators.correlation.suspects import BEFORE, Change
from schemas.outputs import Incident
from schemas.rows import incidents_table, read_events, read_incidents

#: Incidents this much (ms of event time) older than the newest one told are settled.
HORIZON = 2 * 86_400_000
_SLICE = ("service", "service_version", "region", "replica", "request_model", "route")


class Tables(Protocol):
    """The part of the store that correlation needs (`operators.clickhouse.Store`)."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Rows of a query."""

    def insert(self, table: str, rows: pa.Table, token: str) -> None:
        """Insert rows once per token."""


@dataclass(frozen=True, slots=True)
class _Read:
    context: Context
    groups: list[Group]
    stored: list[Incident]


def correlate(store: Tables) -> list[Incident]:
    """One pass: the versions of incidents that are new, in order, written to the store.

    Raises:
        StoreError: the store refuses or is away; nothing is lost, the next pass sees the same episodes.
    """
    time = _query(store, "now")[0]
    if not time["now_ms"]:
        return []
    read = _read(store, time["now_ms"], max(0, time["told_ms"] - HORIZON))
    claimed: set[UUID] = set()
    versions = [version for found in read.groups for version in _versions(store, found, read, claimed)]
    if versions:
        token = "/".join(f"{v.incident_id}:{v.version}" for v in versions)
        store.insert("incidents", incidents_table(versions), f"incidents/{token}")
    return versions


def _read(store: Tables, now: int, since: int) -> _Read:
    places = [
        (row["service"], name, row[name])
        for row in _query(store, "places")
        for name in ("route", "region", "replica", "gpu")
        if row[name]
    ]
    topology = Topology.of(((row["src"], row["dst"]) for row in _query(store, "topology")), places)
    changes = [
        Change(
            change_id=row["change_id"],
            change_type=row["change_type"],
            status=row["status"],
            at=row["at_ms"],
            expected=row["expected"],
            to=row["to_ref"],
            target=dict(row["target"]),
            undoes=row["rollback_ref"],
        )
        for row in _query(store, "changes", since=since - BEFORE)
    ]
    events = read_events(store.query(_sql("episodes"), {"since": since}))
    now = max([now, *(event.updated_at for event in events)])  # a run may have written since it was asked
    groups = group(map(episode, events), topology, changes)
    stored = read_incidents(store.query(_sql("stored"), {"since": since}))
    return _Read(Context(topology, changes, now, moved_prompts(groups)), groups, stored)


def _versions(store: Tables, found: Group, read: _Read, claimed: set[UUID]) -> list[Incident]:
    """What is new to tell of a group: all its moments when it is new, else where it stands now.

    An id goes to the first group that holds one of its members; other stored incidents all of whose members
    have come to this group are merged into it.
    """
    members = {member.event_id for member in found.members}
    holders = [i for i in read.stored if i.incident_id not in claimed and members & set(i.event_ids)]
    holders.sort(key=lambda i: i.status == "merged")  # what went into another stays there
    known = holders[0] if holders else None
    incident_id = known.incident_id if known else first_id(found)
    claimed.add(incident_id)
    context = read.context
    told = [known] if known else []
    for version in [as_of_now(found, context, incident_id)] if known else tell(found, context):
        if told and replace(told[-1], version=version.version, blast_radius={}) == version:
            continue
        number = told[-1].version + 1 if told else 1
        told.append(replace(version, version=number, blast_radius=_blast(store, version)))
    merged = [
        replace(other, version=other.version + 1, status="merged", merged_into=incident_id)
        for other in holders[1:]
        if members.issuperset(other.event_ids) and other.status != "merged"
    ]
    claimed |= {other.incident_id for other in merged}
    return (told[1:] if known else told) + merged


def _blast(store: Tables, incident: Incident) -> dict[str, float]:
    """Requests and tokens of the incident's slice while it lasted; what is not measured is left out."""
    fields = {name: incident.identity.get(name, "") for name in _SLICE}
    row = _query(
        store,
        "blast",
        start=incident.started_at,
        end=incident.last_seen_at,
        slice=",".join(name for name in _SLICE if fields[name]),
        **fields,
    )[0]
    return {name: float(value) for name, value in row.items() if value}


def _query(store: Tables, name: str, **parameters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.query(_sql(name), parameters).to_pylist()
    return rows


def _sql(name: str) -> str:
    return files("operators.correlation").joinpath("sql", f"{name}.sql").read_text()
