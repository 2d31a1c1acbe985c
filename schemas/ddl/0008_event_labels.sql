-- what people said of events; the latest word on an event counts
CREATE TABLE IF NOT EXISTS {database}.event_labels
(
    event_id         UUID,
    verdict          Enum8('true' = 1, 'false' = 2, 'expected' = 3) COMMENT 'expected: real, and no surprise',
    note             String,
    fingerprint      UInt64 COMMENT 'of the event: a label outlives it',
    detector         LowCardinality(String),
    detector_version LowCardinality(String),
    signal           LowCardinality(String),
    statistic        LowCardinality(String),
    labelled_at      DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(labelled_at) ORDER BY event_id
SETTINGS non_replicated_deduplication_window = 1000;

-- how often each detector was right on each signal
CREATE VIEW IF NOT EXISTS {database}.label_precision AS
SELECT
    detector, signal,
    countIf(verdict = 'true') AS right_alarms,
    countIf(verdict = 'expected') AS expected_alarms,
    countIf(verdict = 'false') AS false_alarms,
    if(right_alarms + expected_alarms + false_alarms = 0, NULL, (right_alarms + expected_alarms) / (right_alarms + expected_alarms + false_alarms)) AS precision
FROM {database}.event_labels FINAL
GROUP BY detector, signal;

-- share of its alarm budget that a detector keeps on a series: halved by every false alarm after the first
-- that no right one makes up for
CREATE VIEW IF NOT EXISTS {database}.budget_shares AS
SELECT
    fingerprint,
    any(concat(detector, '/', detector_version)) AS detector,
    any(signal) AS signal,
    any(statistic) AS statistic,
    countIf(verdict = 'false') AS false_alarms,
    countIf(verdict != 'false') AS right_alarms,
    toInt64(false_alarms) - toInt64(right_alarms) AS excess,
    if(excess < 2, 1., pow(2., -least(excess - 1, 6))) AS share
FROM {database}.event_labels FINAL
GROUP BY fingerprint;
