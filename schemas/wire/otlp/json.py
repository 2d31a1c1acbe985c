"""OTLP/JSON as structs with the protobuf messages' own names, so that one walk reads both.

Points and spans stay raw until their turn, so that one bad one does not refuse its record. 64-bit integers
come as strings or numbers, ids as hex (protobuf's own JSON mapping would say base64: not used).
"""

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

from schemas.plans import prepare

Int = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Unsigned = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Message(Struct, rename="camel", frozen=True, gc=False):
    """The two questions protobuf messages answer about optional fields."""

    def HasField(self, name: str) -> bool:  # protobuf's spelling
        """Whether an optional field is set."""
        return getattr(self, name) is not None

    def WhichOneof(self, group: str) -> str | None:
        """Which member of the message's one group is set."""
        return next((name for name in ONE_OF[type(self).__name__] if getattr(self, name) is not None), None)


class ArrayValue(_Message, frozen=True):
    """Values of an array."""

    values: list["AnyValue"] = []


class KeyValueList(_Message, frozen=True):
    """Entries of a nested map."""

    values: list["KeyValue"] = []


class AnyValue(_Message, frozen=True):
    """A value of one of its kinds."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Int | None = None
    double_value: float | None = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None


class KeyValue(_Message, frozen=True):
    """One attribute."""

    key: str = ""
    value: AnyValue = AnyValue()


class Resource(_Message, frozen=True):
    """Who sent it."""

    attributes: list[KeyValue] = []


class Scope(_Message, frozen=True):
    """Which instrumentation made it."""

    name: str = ""
    attributes: list[KeyValue] = []


class Exemplar(_Message, frozen=True):
    """One measurement behind a point: only its attributes matter here."""

    filtered_attributes: list[KeyValue] = []


class _Point(_Message, frozen=True):
    attributes: list[KeyValue] = []
    start_time_unix_nano: Unsigned = 0
    time_unix_nano: Unsigned = 0
    flags: Unsigned = 0
    exemplars: list[Exemplar] = []


class NumberDataPoint(_Point, frozen=True):
    """A point of a gauge or sum."""

    as_double: float | None = None
    as_int: Int | None = None


class HistogramDataPoint(_Point, frozen=True):
    """A point of an explicit histogram."""

    count: Unsigned = 0
    sum: float | None = None
    bucket_counts: list[Unsigned] = []
    explicit_bounds: list[float] = []


class Buckets(_Message, frozen=True):
    """One side of an exponential histogram."""

    offset: Int = 0
    bucket_counts: list[Unsigned] = []


class ExponentialHistogramDataPoint(_Point, frozen=True):
    """A point of an exponential histogram."""

    count: Unsigned = 0
    sum: float | None = None
    scale: Int = 0
    zero_count: Unsigned = 0
    positive: Buckets = Buckets()
    negative: Buckets = Buckets()


class Points(_Message, frozen=True):
    """A gauge, a sum or a histogram: its points, and how they relate to time."""

    data_points: list[Raw] = []
    aggregation_temporality: int | str = 0
    is_monotonic: bool = False


class Metric(_Message, frozen=True):
    """A metric and its one kind of data."""

    name: str = ""
    unit: str = ""
    metadata: list[KeyValue] = []
    gauge: Points | None = None
    sum: Points | None = None
    histogram: Points | None = None
    exponential_histogram: Points | None = None
    summary: Points | None = None


class ScopeMetrics(_Message, frozen=True):
    """Metrics of one scope."""

    scope: Scope = Scope()
    metrics: list[Metric] = []


class ResourceMetrics(_Message, frozen=True):
    """Metrics of one resource."""

    resource: Resource = Resource()
    scope_metrics: list[ScopeMetrics] = []


class MetricsRequest(_Message, frozen=True):
    """``ExportMetricsServiceRequest``."""

    resource_metrics: list[ResourceMetrics] = []


class Status(_Message, frozen=True):
    """How a span ended."""

    code: int | str = 0


class SpanPart(_Message, frozen=True):
    """A span's event or link: only its attributes matter here."""

    attributes: list[KeyValue] = []


class Span(_Message, frozen=True):
    """One span."""

    trace_id: str = ""
    span_id: str = ""
    name: str = ""
    start_time_unix_nano: Unsigned = 0
    end_time_unix_nano: Unsigned = 0
    attributes: list[KeyValue] = []
    events: list[SpanPart] = []
    links: list[SpanPart] = []
    status: Status = Status()


class ScopeSpans(_Message, frozen=True):
    """Spans of one scope."""

    scope: Scope = Scope()
    spans: list[Raw] = []


class ResourceSpans(_Message, frozen=True):
    """Spans of one resource."""

    resource: Resource = Resource()
    scope_spans: list[ScopeSpans] = []


class TraceRequest(_Message, frozen=True):
    """``ExportTraceServiceRequest``."""

    resource_spans: list[ResourceSpans] = []


#: Members of each message's one group.
ONE_OF: dict[str, tuple[str, ...]] = {
    "AnyValue": AnyValue.__struct_fields__,
    "NumberDataPoint": ("as_double", "as_int"),
    "Metric": ("gauge", "sum", "histogram", "exponential_histogram", "summary"),
}

#: The struct of a metric's points, by the kind of its data; a summary's are only counted.
POINT: dict[str, Any] = {
    "gauge": NumberDataPoint,
    "sum": NumberDataPoint,
    "histogram": HistogramDataPoint,
    "exponential_histogram": ExponentialHistogramDataPoint,
    "summary": _Point,
}

prepare(Span, *POINT.values())
