"""What a run says of itself: every meter, declared once; whoever records them takes these names.

Meters are told once a delivery, a flush or a second, never once a sample. Values are whole numbers, since
Beam keeps no others. A label has no more values than there are topics, partitions, shards or words for it.
"""

from typing import Literal, NamedTuple, Protocol

Kind = Literal["counter", "gauge", "histogram"]


class Meter(NamedTuple):
    """One meter. ``buckets``: upper bounds of a histogram's."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[int, ...] = ()


class Meters(Protocol):
    """Records meters. Label values come in the order in which the meter declares its labels."""

    def add(self, meter: Meter, amount: int, *labels: str) -> None:
        """Raise a counter."""
        ...

    def set(self, meter: Meter, value: float, *labels: str) -> None:
        """Set a gauge."""
        ...

    def observe(self, meter: Meter, value: float, *labels: str) -> None:
        """Put a value into a histogram."""
        ...

    def forget(self, meter: Meter, *labels: str) -> None:
        """Take a gauge back: this process knows it no longer."""
        ...


class Unmetered:
    """Records nothing."""

    def add(self, meter: Meter, amount: int, *labels: str) -> None:
        """Nothing."""

    def set(self, meter: Meter, value: float, *labels: str) -> None:
        """Nothing."""

    def observe(self, meter: Meter, value: float, *labels: str) -> None:
        """Nothing."""

    def forget(self, meter: Meter, *labels: str) -> None:
        """Nothing."""


UNMETERED = Unmetered()

RECORDS = Meter("driftline_records_total", "counter", "Records read.", ("topic",))
BATCH_RECORDS = Meter(
    "driftline_batch_records",
    "histogram",
    "Records taken in at a time, all of one partition.",
    ("topic",),
    (1, 10, 100, 1_000, 10_000, 100_000),
)
SAMPLES = Meter(
    "driftline_samples_total",
    "counter",
    "Samples by what became of them: accepted, refused (by reason), ignored, late, duplicate.",
    ("topic", "outcome", "reason"),
)
AFTER_IDLE = Meter(
    "driftline_after_idle_total",
    "counter",
    "Samples that were accepted and then came below a bucket that had closed while their partition was idle: "
    "late after all. No telemetry fault: no clock is wrong.",
    ("topic",),
)
UNKNOWN_FIELDS = Meter(
    "driftline_unknown_fields_total", "counter", "Fields dropped because nobody knows them.", ("topic",)
)
PRODUCER_FAULTS = Meter(
    "driftline_producer_faults_total",
    "counter",
    "Minutes of one producer in which most of its samples were late or far ahead.",
    ("topic",),
)
PARTITIONS = Meter(
    "driftline_partitions", "gauge", "Partitions read here: active, idle, exhausted.", ("state",)
)
LAG = Meter(
    "driftline_lag_records", "gauge", "Records that are there and not read yet.", ("topic", "partition")
)
PARTITION_TIME = Meter(
    "driftline_partition_time_seconds", "gauge", "The partition's event time, Unix.", ("topic", "partition")
)
WATERMARK_DELAY = Meter(
    "driftline_watermark_delay_seconds",
    "gauge",
    "How far the time below which nothing is waited for lies behind the wall clock.",
)
NO_DATA = Meter(
    "driftline_no_data_seconds",
    "gauge",
    "For how long no telemetry has come, once that is longer than windows.idle; else 0.",
)
SOURCE_UP = Meter("driftline_source_up", "gauge", "Whether the source answered when asked last: 1 or 0.")
TURN = Meter(
    "driftline_turn_time_seconds",
    "gauge",
    "When a part of the process last got round, Unix: reading, detecting, storing (only while it waits).",
    ("part",),
)
OPEN_BUCKETS = Meter("driftline_open_buckets", "gauge", "Buckets with data that are not judged.", ("shard",))
SERIES = Meter("driftline_series", "gauge", "Series known.", ("shard",))
WARMING = Meter(
    "driftline_series_warming",
    "gauge",
    "Series with fewer windows of their own than they are judged by; relatives may cover for them.",
    ("shard",),
)
WARM_IN = Meter(
    "driftline_warm_in_seconds",
    "gauge",
    "How long until the last warming series is done, if none of its windows is missing.",
    ("shard",),
)
STATE_BYTES = Meter(
    "driftline_state_bytes",
    "gauge",
    "Size of a shard's state as saved last, and of what is kept to replay on it.",
    ("shard",),
)
BUCKETS = Meter("driftline_buckets_total", "counter", "Rows of closed buckets: one a series and bucket.")
WINDOWS = Meter("driftline_windows_total", "counter", "Windows of anomalies.")
EVENTS = Meter("driftline_events_total", "counter", "Anomaly events raised.", ("kind",))
REVISIONS = Meter("driftline_event_revisions_total", "counter", "Revisions of events, first ones too.")
SINK_ROWS = Meter(
    "driftline_sink_rows_total", "counter", "Rows or records delivered: clickhouse, topics.", ("sink",)
)
SINK_MILLISECONDS = Meter(
    "driftline_sink_milliseconds",
    "histogram",
    "How long it took to deliver a batch that was taken: clickhouse, topics.",
    ("sink",),
    (1, 5, 10, 50, 100, 500, 1_000, 5_000, 30_000),
)
STORE_AWAY = Meter(
    "driftline_store_away_seconds", "gauge", "For how long ClickHouse has been away; 0 while it is there."
)
SINK_AWAY = Meter(
    "driftline_sink_away_seconds",
    "gauge",
    "For how long the brokers of the output have not answered; 0 while they do.",
)
INCIDENTS = Meter(
    "driftline_incidents_total", "counter", "Incidents raised, by their severity then.", ("severity",)
)
CORRELATED = Meter(
    "driftline_correlated_time_seconds", "gauge", "When events were last correlated to incidents, Unix."
)
STATE = Meter(
    "driftline_state",
    "gauge",
    "1 for the state that the process is in: starting, running, no_data, source_away, store_away, sink_away,"
    " stopped.",
    ("state",),
)

METERS: dict[str, Meter] = {
    meter.name: meter for meter in list(globals().values()) if isinstance(meter, Meter)
}
