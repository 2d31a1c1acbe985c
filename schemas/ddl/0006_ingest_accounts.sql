-- what became of every sample of a run: in = accepted + refused + ignored + late + duplicate, per topic
CREATE TABLE IF NOT EXISTS {database}.ingest_accounts
(
    run_id      String,
    topic       LowCardinality(String),
    outcome     LowCardinality(String) COMMENT 'accepted, refused, ignored, late or duplicate',
    reason      String COMMENT 'of a refusal or lateness, or the ignored name',
    samples     UInt64 COMMENT 'running total of the run',
    revision    UInt64 COMMENT 'the highest wins',
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(revision) ORDER BY (run_id, topic, outcome, reason)
TTL toDateTime(ingested_at) + INTERVAL 365 DAY
SETTINGS non_replicated_deduplication_window = 1000;
