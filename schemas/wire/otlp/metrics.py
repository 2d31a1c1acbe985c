"""OTLP metrics: every data point of a known signal is a row of a metrics chunk.

Points of one metric mostly share few sets of attributes, so what follows from them (identity, signal, factor,
temporality) is worked out once a set, and a row only names its `_Context`.
"""

import hashlib
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.identity import IDENTITY_FIELDS
from schemas.names.attributes import identity_of
from schemas.names.gpu import BLANK
from schemas.names.metrics import ATTRIBUTE_OF, SPLIT_BY, Alias, default_temporality, resolve, unit_factor
from schemas.signals import SIGNALS
from schemas.wire.draft import Draft
from schemas.wire.otlp.attributes import Value, values_of
from schemas.wire.otlp.histograms import Buckets, explicit, exponential
from schemas.wire.otlp.json import POINT
from schemas.wire.otlp.samples import Samples, carries, each
from schemas.wire.reasons import Reason, Refused

_NO_VALUE = 1  # DataPointFlags.FLAG_NO_RECORDED_VALUE
_TEMPORALITY: dict[object, str] = {
    1: "delta",
    "1": "delta",
    "AGGREGATION_TEMPORALITY_DELTA": "delta",
    2: "cumulative",
    "2": "cumulative",
    "AGGREGATION_TEMPORALITY_CUMULATIVE": "cumulative",
}


Items = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class _Context:
    """What a set of attributes makes of a metric's points: ignored (no ``signal``), refused, or rows."""

    signal: str | None = None
    factor: float = 1.0
    temporality: str = "gauge"
    attribute: str | None = None
    identity: dict[str, str] = field(default_factory=dict)
    producer_seq: int | None = None
    stream: int = 0
    refusal: tuple[Reason, str] | None = None


_TEXT = _Context(refusal=("text_field", "an attribute that carries text"))


@dataclass
class _Rows:
    """Columns as they grow, one entry a row."""

    contexts: list[_Context] = field(default_factory=list)
    context: list[int] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    start: list[int | None] = field(default_factory=list)
    value: list[float | None] = field(default_factory=list)
    count: list[int | None] = field(default_factory=list)
    sum: list[float | None] = field(default_factory=list)
    buckets: list[Buckets | None] = field(default_factory=list)


def read_metrics(request: Any, samples: Samples) -> Draft:
    """Walk an ``ExportMetricsServiceRequest``, protobuf or its JSON twin, into a draft."""
    rows = _Rows()
    for resource in each(request.resource_metrics):
        around = values_of(each(resource.resource.attributes))
        for scope in each(resource.scope_metrics):
            outer_text = carries(around, values_of(each(scope.scope.attributes)))
            for metric in each(scope.metrics):
                _read_metric(metric, around, outer_text, samples, rows)
    return _draft(rows, samples)


def _read_metric(
    metric: Any, around: dict[str, Value], outer_text: bool, samples: Samples, rows: _Rows
) -> None:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    outer_text = outer_text or carries(values_of(each(metric.metadata)))
    told = "" if kind in ("gauge", "summary") else _TEMPORALITY.get(data.aggregation_temporality, "")
    outer = tuple(around.items())
    contexts: dict[Items, tuple[_Context, int]] = {}
    for message in each(data.data_points):
        point = samples.next(message, POINT[kind], outer_text)
        if point is None:
            continue
        attributes = values_of(each(point.attributes))
        key = tuple(attributes.items())
        if key not in contexts:
            # Text is told apart before anything is remembered.
            found = (
                _TEXT if carries(attributes) else _context(metric.name, metric.unit, kind, told, outer, key)
            )
            contexts[key] = found, len(rows.contexts)
            rows.contexts.append(found)
        context, place = contexts[key]
        if kind != "summary" and any(
            carries(values_of(part.filtered_attributes)) for part in each(point.exemplars)
        ):
            samples.refuse(message, "text_field", "an exemplar that carries text")
        elif context.refusal is not None:
            samples.refuse(message, *context.refusal)
        elif context.signal is None:
            samples.ignore(metric.name)
        elif point.flags & _NO_VALUE:
            samples.ignore("no_recorded_value")
        else:
            _read_point(point, message, kind, context, place, samples, rows)


@lru_cache(maxsize=16384)
def _context(name: str, unit: str, kind: str, told: str, outer: Items, inner: Items) -> _Context:
    """Exporters send the same sets of attributes scrape after scrape, so the latest are remembered."""
    both = dict(outer + inner)
    split = both.get(SPLIT_BY.get(name, ""))
    alias = resolve(name, split if isinstance(split, str) else None)
    temporality = None if alias is None else _temporality(alias, kind, told)
    if alias is None or temporality is None:
        return _Context()
    identity = identity_of(both, name)
    if "service" not in identity and not (identity and alias.signal.startswith("hw.")):
        return _Context(refusal=("missing_field", "service.name"))
    if any(len(value) > 1024 for value in identity.values()):
        return _Context(refusal=("out_of_range", "an identity attribute is overlong"))
    sequence = both.get("driftline.producer_seq")
    return _Context(
        alias.signal,
        unit_factor(alias, unit or None),
        temporality,
        alias.attribute or _attribute(alias.signal, both),
        identity,
        sequence if isinstance(sequence, int) and not isinstance(sequence, bool) else None,
        _stream(name, both),
    )


def _temporality(alias: Alias, kind: str, told: str) -> str | None:
    """How the points of this kind of data are to be read; ``None`` where they cannot be this signal."""
    signal = SIGNALS[alias.signal]
    running = signal.kind in ("count", "counter")
    if kind == "gauge":
        usual = alias.temporality or default_temporality(signal)
        return "gauge" if usual == "delta" else usual
    if kind == "summary":
        return None
    if kind == "sum":
        if alias.temporality == "gauge" or (signal.kind in ("gauge", "ratio") and told != "delta"):
            return "gauge"
        return (told or None) if running else None
    return (told or None) if signal.kind in ("duration", "distribution", "ratio") else None


def _attribute(signal: str, attributes: dict[str, Value]) -> str | None:
    for name in (*ATTRIBUTE_OF.get(signal, ()), "driftline.attribute"):
        value = attributes.get(name)
        if isinstance(value, tuple):
            value = value[0] if len(value) == 1 else None
        if isinstance(value, str) and 0 < len(value) <= 1024:
            return value
    return None


def _stream(name: str, attributes: dict[str, Value]) -> int:
    """The one time series these points belong to, as a stable number: cumulative values differ within it."""
    # Equal numbers of different types are one value, as they are where contexts are remembered.
    plain = {key: float(value) if isinstance(value, int) else value for key, value in attributes.items()}
    text = repr((name, sorted((key, repr(value)) for key, value in plain.items())))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def _read_point(
    point: Any, message: Any, kind: str, context: _Context, place: int, samples: Samples, rows: _Rows
) -> None:
    value: float | None = None
    buckets: Buckets | None = None
    total: float | None = None
    if kind in ("gauge", "sum"):
        which = point.WhichOneof("value")
        value = None if which is None else float(getattr(point, which))
        if value is None:
            return samples.ignore("no_recorded_value")
        if value >= BLANK:
            return samples.ignore("sentinel")
        value *= context.factor
        if not math.isfinite(value):
            return samples.refuse(message, "not_finite", "value")
    else:
        try:
            buckets = (explicit if kind == "histogram" else exponential)(point, context.factor)
        except Refused as refused:
            return samples.refuse(message, refused.reason, refused.detail)
        total = point.sum * context.factor if point.HasField("sum") else None
        if total is not None and not math.isfinite(total):
            return samples.refuse(message, "not_finite", "sum")
    if point.time_unix_nano <= 0:
        return samples.refuse(message, "bad_time", "timeUnixNano: not set")
    samples.accept(message)
    rows.context.append(place)
    rows.time.append(point.time_unix_nano // 1_000_000)
    rows.start.append(point.start_time_unix_nano // 1_000_000 or None)
    rows.value.append(value)
    rows.count.append(None if buckets is None else point.count)
    rows.sum.append(total)
    rows.buckets.append(buckets)
    return None


def _draft(rows: _Rows, samples: Samples) -> Draft:
    draft = Draft("metrics", len(rows.time), {}, samples.rows())
    if not rows.time:
        return draft
    where = pa.array(rows.context, pa.int64())

    def spread(distinct: list[str | None]) -> pa.Array:
        return pa.array(distinct, pa.utf8()).dictionary_encode().take(where)

    columns = draft.columns
    for name in IDENTITY_FIELDS:
        distinct = [context.identity.get(name) for context in rows.contexts]
        if any(distinct):
            columns[name] = spread(distinct)
    columns["producer_seq"] = pa.array([context.producer_seq for context in rows.contexts], pa.int64()).take(
        where
    )
    columns["event_time"] = pa.array(rows.time, pa.int64())
    columns["signal"] = spread([context.signal for context in rows.contexts])
    columns["value"] = pa.array(rows.value, pa.float64())
    columns["temporality"] = spread([context.temporality for context in rows.contexts])
    columns["attribute"] = spread([context.attribute for context in rows.contexts])
    columns["sample_count"] = pa.array(rows.count, pa.int64())
    columns["start_time"] = pa.array(rows.start, pa.int64())
    columns["stream"] = pa.array(np.array([context.stream for context in rows.contexts])).take(where)
    if any(rows.buckets):
        columns["hist_bounds"] = pa.array(
            [None if held is None else held.bounds for held in rows.buckets], pa.list_(pa.float64())
        )
        columns["hist_counts"] = pa.array(
            [None if held is None else held.counts for held in rows.buckets], pa.list_(pa.int64())
        )
        columns["hist_sum"] = pa.array(rows.sum, pa.float64())
    return draft
