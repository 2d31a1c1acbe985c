"""The closed buckets of two sides of a comparison, from the store, in one slice a signal.

Slices overlap, so each signal is read from one: of those that hold the compared fields and otherwise only
fields that describe traffic, the one with most of these, then with most samples. Replicas, nodes and GPUs
belong to a version as its places, so traffic is not matched by them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.clickhouse import Store
from operators.shard.sketches import Ints, Sketches
from schemas.tables import COLUMN

#: Fields that say which requests came, not where they were served.
TRAFFIC = ("environment", "region", "route", "task", "tenant_hash", "service", "request_model")

Identity = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rows:
    """Buckets of one (topic, signal): n sketches, each with its time, side, stratum and attribute.

    ``start`` [n] Unix ms; ``side`` [n] 0 baseline, 1 candidate; ``stratum`` [n] places in ``strata``;
    ``attribute`` [n] strings, "" the whole signal; ``step`` of the sums.
    """

    topic: str
    signal: str
    by: tuple[str, ...]
    strata: tuple[tuple[str, ...], ...]
    start: Ints
    side: Ints
    stratum: Ints
    attribute: npt.NDArray[np.str_]
    step: float
    sketches: Sketches


def read(store: Store, baseline: Identity, candidate: Identity, since: int, until: int) -> list[Rows]:
    """Rows of every signal that both sides have, from ``since`` to before ``until`` (Unix ms)."""
    fields = tuple(baseline)
    parameters = _parameters(baseline, candidate, since, until)
    where = _where(fields)
    listing = store.query(
        # names come from IDENTITY_FIELDS, values are bound
        f"SELECT topic, signal, slice, sum(samples) AS n FROM signal_buckets WHERE {where} "  # noqa: S608
        f"GROUP BY topic, signal, slice HAVING uniqExact({_side(fields)}) = 2 ORDER BY ALL",
        parameters,
    )
    best: dict[tuple[str, str], tuple[tuple[int, int], str]] = {}
    for row in listing.to_pylist():
        names = row["slice"].split(",")
        others = [name for name in names if name not in fields]
        if not set(fields) <= set(names) or not set(others) <= set(TRAFFIC):
            continue
        rank = (len(others), row["n"])
        key = (row["topic"], row["signal"])
        if key not in best or rank > best[key][0]:
            best[key] = (rank, row["slice"])
    return [
        _rows(store, topic, signal, chosen, fields, where, parameters)
        for (topic, signal), (_, chosen) in sorted(best.items())
    ]


def _rows(
    store: Store,
    topic: str,
    signal: str,
    chosen: str,
    fields: tuple[str, ...],
    where: str,
    parameters: dict[str, Any],
) -> Rows:
    by = tuple(name for name in chosen.split(",") if name not in fields)
    columns = ", ".join(COLUMN[name] for name in by)
    table = store.query(
        f"SELECT toUnixTimestamp64Milli(bucket_start) AS start, {_side(fields)} AS side, attribute, "  # noqa: S608
        f"[{columns}]::Array(String) AS stratum, samples, sum_steps, step, value_min, value_max, bins, "
        "bin_counts FROM signal_buckets FINAL "
        f"WHERE {where} AND topic = {{topic:String}} AND signal = {{signal:String}} "
        "AND slice = {slice:String} ORDER BY start, side, stratum, attribute",
        parameters | {"topic": topic, "signal": signal, "slice": chosen},
    ).combine_chunks()
    names = [tuple(stratum) for stratum in table["stratum"].to_pylist()]
    strata = tuple(sorted(set(names)))
    place = {name: index for index, name in enumerate(strata)}
    return Rows(
        topic=topic,
        signal=signal,
        by=by,
        strata=strata,
        start=table["start"].to_numpy().astype(np.int64),
        side=table["side"].to_numpy().astype(np.int64),
        stratum=np.array([place[name] for name in names], np.int64),
        attribute=np.array(table["attribute"].to_pylist(), np.str_),
        step=float(table["step"][0].as_py()),
        sketches=_sketches(table),
    )


def _sketches(table: pa.Table) -> Sketches:
    bins, counts = (pa.array(table[name].combine_chunks()) for name in ("bins", "bin_counts"))
    lengths = np.diff(bins.offsets.to_numpy())
    total = table["sum_steps"].to_numpy().astype(np.int64)
    return Sketches(
        key=np.arange(table.num_rows, dtype=np.uint64),
        count=table["samples"].to_numpy().astype(np.int64),
        total=total,
        span=np.zeros_like(total),
        low=_floats(table["value_min"]),
        high=_floats(table["value_max"]),
        bin_row=np.repeat(np.arange(table.num_rows), lengths),
        bin=bins.flatten().to_numpy().astype(np.int64),
        bin_count=counts.flatten().to_numpy().astype(np.int64),
    )


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return found


def _where(fields: tuple[str, ...]) -> str:
    sides = " OR ".join(
        "(" + " AND ".join(f"{COLUMN[name]} = {{{side}_{name}:String}}" for name in fields) + ")"
        for side in ("baseline", "candidate")
    )
    begins, ends = (f"fromUnixTimestamp64Milli({{{name}:Int64}})" for name in ("since", "until"))
    return f"bucket_start >= {begins} AND bucket_start < {ends} AND ({sides})"


def _side(fields: tuple[str, ...]) -> str:
    same = " AND ".join(f"{COLUMN[name]} = {{candidate_{name}:String}}" for name in fields)
    return f"toUInt8({same})"


def _parameters(baseline: Identity, candidate: Identity, since: int, until: int) -> dict[str, Any]:
    sides = {"baseline": baseline, "candidate": candidate}
    named = {f"{side}_{name}": value for side, fields in sides.items() for name, value in fields.items()}
    return named | {"since": since, "until": until}
