"""What runs where, as samples tell it: each edge once an hour of event time."""

from typing import Any

import numpy as np
import pyarrow.compute as pc

from operators.fold.coding import coded, combine
from operators.fold.parts import listed
from schemas.chunk import Chunk

Edge = tuple[str, str, str]

#: Child, parent, and how the child relates to it.
_RELATIONS = (
    ("replica", "node", "runs_on"),
    ("gpu", "node", "part_of"),
    ("gpu", "replica", "serves"),
    ("gpu", "tp_group", "member_of"),
    ("gpu", "gpu_model", "is_a"),
    ("replica", "gpu_model", "has_a"),
    ("replica", "region", "lies_in"),
    ("producer", "node", "runs_on"),
    ("producer", "replica", "speaks_for"),
)
_HOUR_MS = 3_600_000


class Topology:
    """The edges a partition has told of, and in which hour of event time."""

    def __init__(self) -> None:
        self._told: dict[Edge, int] = {}

    def news(self, chunk: Chunk) -> list[Edge]:
        """Edges of accepted samples that were not told of in their hour."""
        if not chunk.batch.num_rows:
            return []
        hour = int(chunk.batch.column("event_time").to_numpy().max()) // _HOUR_MS
        found = [edge for edge in _edges(chunk.batch) if self._told.get(edge, -1) < hour]
        self._told.update(dict.fromkeys(found, hour))
        if found:
            # an edge not seen for a day need not be remembered: it would be told of again anyway
            self._told = {edge: told for edge, told in self._told.items() if told >= hour - 24}
        return found

    def snapshot(self) -> list[list[Any]]:
        """Plain values, for the state codec."""
        return [[*edge, hour] for edge, hour in self._told.items()]

    def restore(self, values: list[list[Any]]) -> None:
        """Take the edges of a snapshot."""
        self._told = {(child, parent, relation): hour for child, parent, relation, hour in values}


def _edges(batch: Any) -> list[Edge]:
    names = set(batch.schema.names)
    found: list[Edge] = []
    for child, parent, relation in _RELATIONS:
        if child in names and parent in names:
            # what a device's exporter says is not the replica's word
            own = relation == "speaks_for" and "gpu" in names
            rows = batch.select([child, parent])
            rows = rows.filter(pc.is_null(batch.column("gpu"))) if own else rows
            pairs = _pairs(*rows.columns)
            found += [(f"{child}:{low}", f"{parent}:{high}", relation) for low, high in pairs]
    if "gpus" in names and "replica" in names:
        row, place = listed(batch.column("gpus"))
        gpus = batch.column("gpus").values.take(place).dictionary_encode()
        pairs = _pairs(gpus, batch.column("replica").take(row))
        found += [(f"gpu:{gpu}", f"replica:{replica}", "serves") for gpu, replica in pairs if replica]
    return found


def _pairs(child: Any, parent: Any) -> list[tuple[str, str]]:
    low, high = coded(child), coded(parent)
    both = np.flatnonzero((low.codes >= 0) & (high.codes >= 0))
    if not len(both):
        return []
    code, _ = combine([(low.codes[both], len(low.values)), (high.codes[both], len(high.values))])
    sample = both[np.unique(code, return_index=True)[1]]
    words, parents = low.values.to_pylist(), high.values.to_pylist()
    return [(words[low.codes[row]], parents[high.codes[row]]) for row in sample]
