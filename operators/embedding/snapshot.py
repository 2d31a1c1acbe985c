"""The embedding state as bytes and back; what is read goes on to the bit as what was written would have."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu_scorers.spec import Spec
from operators.embedding.group import Group, GroupKey, OpenBucket, Rows
from operators.embedding.series import Series, Standing, Window
from operators.series import Slice
from operators.state import Array, State, StateError, pack, unpack

if TYPE_CHECKING:
    from operators.embedding.state import EmbeddingState

KIND = "embeddings"
VERSION = 4
_ROWS = ("bucket", "request", "x", "cell", "feeds")
_NOTHING = np.zeros(0)


def write(state: EmbeddingState) -> bytes:
    """Snapshot of a state."""
    arrays: dict[str, Array] = {}
    groups = [_group_out(group, arrays, f"{i}") for i, (_, group) in enumerate(sorted(state.groups.items()))]
    values = {
        "groups": groups,
        "frozen": [[*at, until] for at, until in sorted(state.frozen.items())],
        "closed_ms": state.closed_ms,
        "late": state.late,
    }
    return pack(KIND, VERSION, values, arrays)


def read(state: EmbeddingState, data: bytes) -> EmbeddingState:
    """Fill a fresh state from a snapshot; raises `operators.state.StateError`."""
    found = unpack(KIND, frozenset({VERSION}), data)
    values = found.values
    state.closed_ms, state.late = values["closed_ms"], values["late"]
    state.frozen = {(side, _slice(each), family): until for side, each, family, until in values["frozen"]}
    for i, each in enumerate(values["groups"]):
        group = _group_in(each, found, f"{i}", state)
        state.groups[group.key] = group
    return state


def _group_out(group: Group, arrays: dict[str, Array], at: str) -> dict[str, Any]:
    if group.spec is not None:
        arrays.update({f"{at}/spec/{name}": array for name, array in group.spec.arrays().items()})
    arrays[f"{at}/request"], arrays[f"{at}/x"] = group.sample_request, group.sample_x
    group.fold()
    for scale, null in enumerate(group.null):
        arrays[f"{at}/null/{scale}"], arrays[f"{at}/new/{scale}"] = null.values, null.new
    waiting: list[Any] = []
    for i, rows in enumerate(group.waiting):
        arrays.update({f"{at}/rows/{i}/{part}": getattr(rows, part) for part in _ROWS})
        waiting.append(rows.slices)
    buckets: list[list[Any]] = []
    for bucket_ms, bucket in sorted(group.open.items()):
        arrays[f"{at}/open/{len(buckets)}"] = bucket.sums
        buckets.append([bucket_ms, list(bucket.places)])
    series = [_series_out(each, arrays, f"{at}/series/{i}") for i, each in enumerate(group.series.values())]
    return {
        # named only where there are some: the form of a state without sentinels stays what it was
        **({"near": group.near.digest} if group.near.names else {}),
        # of a fitted one its series know when they were seen last
        **({"seen_ms": group.seen_ms} if group.spec is None else {}),
        "key": list(group.key),
        "spec": group.spec is not None,
        "seen": group.seen,
        "first_ms": group.first_ms,
        "beyond_cap": group.beyond_cap,
        "waiting": waiting,
        "open": buckets,
        "series": series,
    }


def _group_in(values: dict[str, Any], found: State, at: str, state: EmbeddingState) -> Group:
    group = Group(GroupKey(*values["key"]), state.settings)
    if values.get("near", "") != group.near.digest:
        raise StateError(
            f"the embeddings' state of {group.key.embedder_version} was kept with other sentinels than this "
            f"run has ({', '.join(group.near.names) or 'none'}): go on with those, or start anew"
        )
    arrays = found.arrays
    if values["spec"]:
        prefix = f"{at}/spec/"
        parts = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
        group.spec = Spec.from_arrays(parts)
    group.sample_request, group.sample_x = arrays[f"{at}/request"], arrays[f"{at}/x"]
    group.seen_ms = values.get("seen_ms", values["first_ms"])
    group.seen, group.first_ms, group.beyond_cap = values["seen"], values["first_ms"], values["beyond_cap"]
    for scale, null in enumerate(group.null):
        null.values, null.new = arrays[f"{at}/null/{scale}"], arrays[f"{at}/new/{scale}"]
    for i, slices in enumerate(values["waiting"]):
        parts = {part: arrays[f"{at}/rows/{i}/{part}"] for part in _ROWS}
        group.waiting.append(Rows(**parts, slices=tuple(_slice(each) for each in slices)))
    for i, (bucket_ms, slices) in enumerate(values["open"]):
        bucket = group.open[bucket_ms] = OpenBucket(0)
        bucket.places = {_slice(each): place for place, each in enumerate(slices)}
        bucket.sums = arrays[f"{at}/open/{i}"]
    for i, each in enumerate(values["series"]):
        series = _series_in(each, arrays, f"{at}/series/{i}")
        group.series[series.slice] = series
    return group


def _series_out(series: Series, arrays: dict[str, Array], at: str) -> dict[str, Any]:
    if series.buckets:
        arrays[f"{at}/buckets"] = np.stack(series.buckets)
    if series.warm:
        arrays[f"{at}/model"], arrays[f"{at}/null"] = series.model, series.null
        arrays[f"{at}/recent"] = series.recent
    standing = []
    for i, each in enumerate(series.standing):
        if each is not None:
            arrays[f"{at}/standing/{i}"] = np.stack([each.p, each.leading, each.observed, each.expected])
        at_window = f"{at}/stood/{i}"
        standing.append(None if each is None else [each.source, _window_out(each.window, arrays, at_window)])
    return {
        "slice": series.slice,
        "window": _window_out(series.window, arrays, f"{at}/window"),
        "longer": [_window_out(w, arrays, f"{at}/longer/{i}") for i, w in enumerate(series.longer)],
        "standing": standing,
        "held": series.held,
        "first_ms": series.first_ms,
        "next_ms": series.next_ms,
        "effective": series.effective,
        "recent_ms": series.recent_ms,
        "seen_ms": series.seen_ms,
        "lone": series.lone,
        "strange": series.strange,
        "borrowed": series.borrowed,
    }


def _series_in(values: dict[str, Any], arrays: dict[str, Array], at: str) -> Series:
    standing: list[Standing | None] = []
    for i, window in enumerate(values["standing"]):
        if window is None:
            standing.append(None)
            continue
        p, leading, observed, expected = arrays[f"{at}/standing/{i}"]
        held = _window_in(window[1], arrays, f"{at}/stood/{i}")
        standing.append(Standing(held, p, leading.astype(np.int64), observed, expected, window[0]))
    return Series(
        slice=_slice(values["slice"]),
        window=_window_in(values["window"], arrays, f"{at}/window"),
        longer=[_window_in(w, arrays, f"{at}/longer/{i}") for i, w in enumerate(values["longer"])],
        standing=standing,
        buckets=list(arrays.get(f"{at}/buckets", ())),
        held=values["held"],
        first_ms=values["first_ms"],
        next_ms=values["next_ms"],
        model=arrays.get(f"{at}/model", _NOTHING),
        null=arrays.get(f"{at}/null", _NOTHING),
        effective=values["effective"],
        recent=arrays.get(f"{at}/recent", _NOTHING),
        recent_ms=values["recent_ms"],
        seen_ms=values["seen_ms"],
        lone=values["lone"],
        strange=values["strange"],
        borrowed=values["borrowed"],
    )


def _window_out(window: Window, arrays: dict[str, Array], at: str) -> dict[str, Any]:
    for name in ("sums", "before"):
        if getattr(window, name).size:
            arrays[f"{at}/{name}"] = getattr(window, name)
    values = asdict(window)
    del values["sums"], values["before"]
    return values


def _window_in(values: dict[str, Any], arrays: dict[str, Array], at: str) -> Window:
    sums, before = (arrays.get(f"{at}/{name}", _NOTHING) for name in ("sums", "before"))
    return Window(**values, sums=sums, before=before)


def _slice(pairs: Any) -> Slice:
    return tuple((name, value) for name, value in pairs)
