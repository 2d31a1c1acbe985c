"""Open vocabularies: of finish reasons, error types and throttle reasons a series keeps so many apart.

The rest is counted under ``other``. Words are admitted as they come, the heaviest of a window first where
there is not room for all; one that was admitted stays. So error types that name requests make no series each.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from operators.shard.hashing import field_hashes
from operators.shard.sketches import Ints, collapse, runs, take
from operators.shard.slices import OTHER, Cells, Sliced

#: Signals whose attribute is such a word, and what stands before it.
_OPEN = {
    "gen_ai.output.finish_reason_share": "",
    "gen_ai.server.errors": "",
    "hw.gpu.throttle_time": "share:",
}


def is_open(signal: str, attribute: str) -> bool:
    """Whether a base counts one of an open set of words."""
    before = _OPEN.get(signal)
    if before is None or not attribute.startswith(before):
        return False
    return attribute.removeprefix(before) not in ("", OTHER)


def fold_words(
    cells: Cells, sliced: Sliced, known: Mapping[int, int], new: Ints, cap: int
) -> tuple[Cells, Sliced]:
    """Fold words beyond ``cap`` a series into ``other``.

    Args:
        cells: what was sliced.
        sliced: bases of a window's buckets.
        known: words that a series has, by the hash of all but its attribute.
        new: places in ``sliced`` of the first row of each base that is not known yet, by key.
        cap: words that a series keeps apart.

    Returns:
        Both, as they are then.
    """
    texts, signals = cells.values["attribute"], cells.values["signal"]
    cell = sliced.cell[new]
    code, signal = cells.codes["attribute"][cell], cells.codes["signal"][cell]
    open_ = [c >= 0 and s >= 0 and is_open(signals[s], texts[c]) for c, s in zip(code, signal, strict=True)]
    new, cell = new[open_], cell[open_]
    if not len(new):
        return cells, sliced
    rows = sliced.rows
    owner = rows.key[new] - cells.hashes["attribute"][cell]
    kinds, series = np.unique(owner, return_inverse=True)
    room = np.array([cap - known.get(kind, 0) for kind in kinds.tolist()])
    if (np.bincount(series) <= room).all():
        return cells, sliced
    place = np.searchsorted(rows.key[new], rows.key)  # `new` is in order of its keys
    mine = rows.key[new[np.minimum(place, len(new) - 1)]] == rows.key
    weight = np.bincount(place[mine], rows.count[mine], len(new))
    order = np.lexsort((rows.key[new], -weight, series))
    first = np.searchsorted(series[order], np.arange(len(kinds)))
    rank = np.empty(len(new), np.int64)
    rank[order] = np.arange(len(new)) - first[series[order]]
    beyond = np.append(rank >= room[series], False)
    folded = beyond[np.where(mine, place, len(new))]
    return _renamed(cells, sliced, folded)


def _renamed(cells: Cells, sliced: Sliced, folded: npt.NDArray[np.bool_]) -> tuple[Cells, Sliced]:
    """These rows under ``other``, merged with those that are there."""
    rows, texts = sliced.rows, cells.values["attribute"]
    others = tuple(f"share:{OTHER}" if text.startswith("share:") else OTHER for text in texts)
    change = np.append(field_hashes("attribute", others) - field_hashes("attribute", texts), np.uint64(0))
    key = rows.key + np.where(folded, change[sliced.attribute], np.uint64(0))
    order = np.lexsort((sliced.bucket, key))
    starts = runs(key[order], sliced.bucket[order])
    first = order[starts]
    return replace(cells, values=cells.values | {"attribute": (*texts, *others)}), Sliced(
        rows=collapse(take(replace(rows, key=key), order), starts),
        bucket=sliced.bucket[first],
        cell=sliced.cell[first],
        place=sliced.place[first],
        level=sliced.level[first],
        attribute=np.where(folded, sliced.attribute + len(texts), sliced.attribute)[first],
    )
