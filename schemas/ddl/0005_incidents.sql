CREATE TABLE IF NOT EXISTS {database}.incidents
(
    incident_id       UUID,
    version           UInt64 COMMENT 'rises with each change; the highest wins',
    status            Enum8('open' = 1, 'acknowledged' = 2, 'resolved' = 3, 'merged' = 4),
    severity          Enum8('info' = 1, 'warning' = 2, 'error' = 3, 'critical' = 4),
    title             String CODEC(ZSTD(1)),
    started_at        DateTime64(3, 'UTC') COMMENT 'earliest onset of its events',
    detected_at       DateTime64(3, 'UTC') COMMENT 'updated_at of the event revision that opened it',
    paged_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'when it first was at warning or above',
    last_seen_at      DateTime64(3, 'UTC'),
    resolved_at       Nullable(DateTime64(3, 'UTC')),
    symptom           LowCardinality(String),
    layer             LowCardinality(String),
    layer_probabilities Map(LowCardinality(String), Float64),
    failure_kind      LowCardinality(String),
    confidence        Float64,
    action            LowCardinality(String),
    action_reason     String CODEC(ZSTD(1)),
    action_ref        String,
    identity          Map(LowCardinality(String), String) COMMENT 'fields all its events share',
    has_root          Bool,
    root              Map(LowCardinality(String), String) COMMENT 'the entity held responsible, if has_root',
    affected          Array(Map(String, String)),
    first_affected    Map(LowCardinality(String), String),
    signals           Array(LowCardinality(String)),
    event_ids         Array(UUID),
    suspect_change_ids Array(String),
    suspect_scores    Array(Float64),
    suspect_reasons   Array(Array(String)),
    blast_radius      Map(LowCardinality(String), Float64) COMMENT 'requests, tenants, tokens',
    merged_into       Nullable(UUID),
    detected_by       LowCardinality(String),
    config_hash       LowCardinality(String),
    ingested_at       DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(version) ORDER BY incident_id
SETTINGS non_replicated_deduplication_window = 1000;

-- who calls or runs on whom, learnt from what samples say together
CREATE TABLE IF NOT EXISTS {database}.topology_edges
(
    src         String,
    dst         String,
    relation    LowCardinality(String),
    seen_at     DateTime64(3, 'UTC') COMMENT 'event time',
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(seen_at) ORDER BY (src, dst, relation)
TTL toDateTime(ingested_at) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS {database}.silences
(
    silence_id  UUID,
    matchers    Map(LowCardinality(String), String),
    starts_at   DateTime64(3, 'UTC'),
    ends_at     DateTime64(3, 'UTC'),
    created_by  String,
    comment     String,
    version     UInt32,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(version) ORDER BY silence_id
TTL toDateTime(greatest(ends_at, ingested_at)) + INTERVAL 30 DAY;
