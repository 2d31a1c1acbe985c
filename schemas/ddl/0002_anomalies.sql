CREATE TABLE IF NOT EXISTS {database}.anomaly_events
(
    event_id          UUID COMMENT 'deterministic, one per episode: replays collapse',
    fingerprint       UInt64 COMMENT 'which problem; on the wire lower(leftPad(hex(fingerprint), 16, ''0''))',
    revision          UInt32 COMMENT 'rises with each update; the highest wins',
    window_start      DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'onset, fixed',
    window_end        DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'grows',
    detected_at       DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'event time, of the episode: fixed',
    updated_at        DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'event time, of this revision',
    paged_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'updated_at of the first revision at warning or above',
    topic             LowCardinality(String) COMMENT 'where the samples came from',
    signal            LowCardinality(String) COMMENT 'canonical name, e.g. gen_ai.server.time_to_first_token',
    statistic         LowCardinality(String) COMMENT 'p95, mean, rate, share:length, ...',
    side              LowCardinality(String) COMMENT 'prompt or output, for embeddings',
    unit              LowCardinality(String),
    kind              Enum8('drift' = 1, 'spike' = 2, 'degradation' = 3, 'missing_data' = 4, 'embedding_drift' = 5),
    status            Enum8('firing' = 1, 'resolved' = 2),
    severity          Enum8('info' = 1, 'warning' = 2, 'error' = 3, 'critical' = 4),
    symptom           LowCardinality(String),
    detector          LowCardinality(String),
    detector_version  LowCardinality(String),
    score             Float64 CODEC(ZSTD(1)),
    threshold         Float64 CODEC(ZSTD(1)),
    p_value           Nullable(Float64),
    baseline_value    Float64 CODEC(ZSTD(1)),
    observed_value    Float64 CODEC(ZSTD(1)),
    sample_count      UInt64 CODEC(T64, ZSTD(1)),
    calibration       LowCardinality(String) COMMENT 'empirical, extrapolated or prior',
    config_hash       LowCardinality(String) COMMENT 'of the settings that can change an event',
    deployment_environment_name LowCardinality(String),
    service_name      LowCardinality(String),
    service_version   LowCardinality(String),
    gen_ai_provider_name LowCardinality(String),
    gen_ai_request_model LowCardinality(String),
    cloud_region      LowCardinality(String),
    k8s_cluster_name  LowCardinality(String),
    k8s_node_name     String CODEC(ZSTD(1)),
    service_instance_id String CODEC(ZSTD(1)) COMMENT 'replica',
    route             LowCardinality(String),
    hw_id             String CODEC(ZSTD(1)) COMMENT 'GPU UUID',
    attributes        Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'the other identity fields, and more',
    exemplar_trace_ids Array(String) CODEC(ZSTD(1)),
    summary           String CODEC(ZSTD(1)),
    runbook_url       String CODEC(ZSTD(1)),
    dashboard_url     String CODEC(ZSTD(1)),
    suppressed_by     Array(LowCardinality(String)),
    ingested_at       DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_fingerprint fingerprint TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_hw_id hw_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attribute_keys mapKeys(attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    PROJECTION by_fingerprint (SELECT * ORDER BY fingerprint, window_start)
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toDate(window_start)
-- only what never changes over an episode, or its revisions would not collapse
ORDER BY (toStartOfFiveMinutes(window_start), service_name, gen_ai_request_model, signal, detector, fingerprint, window_start, event_id)
-- by arrival, or replayed history would vanish
TTL toDateTime(ingested_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, deduplicate_merge_projection_mode = 'rebuild', non_replicated_deduplication_window = 1000;

-- the evidence: one row per firing window of an event
CREATE TABLE IF NOT EXISTS {database}.anomaly_windows
(
    event_id          UUID,
    window_start      DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    window_end        DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    score             Float64 CODEC(ZSTD(1)),
    p_value           Nullable(Float64),
    observed_value    Float64 CODEC(ZSTD(1)),
    expected_low      Float64 CODEC(ZSTD(1)),
    expected_high     Float64 CODEC(ZSTD(1)),
    sample_count      UInt64 CODEC(T64, ZSTD(1)),
    ingested_at       DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(window_start)
ORDER BY (event_id, window_start)
TTL toDateTime(ingested_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- shaped like OpenTelemetry logs, for Grafana's log explorer and others that know that shape
CREATE VIEW IF NOT EXISTS {database}.anomaly_events_otel AS
SELECT
    detected_at AS Timestamp,
    upper(toString(severity)) AS SeverityText,
    transform(toString(severity), ['info', 'warning', 'error', 'critical'], [9, 13, 17, 21], 0)::UInt8 AS SeverityNumber,
    service_name AS ServiceName,
    if(summary != '', summary, concat(toString(kind), ' on ', signal)) AS Body,
    'driftline.anomaly' AS EventName,
    mapFilter((k, v) -> v != '', map(
        'service.name', service_name::String, 'service.version', service_version::String,
        'service.instance.id', service_instance_id, 'deployment.environment.name', deployment_environment_name::String,
        'cloud.region', cloud_region::String, 'k8s.cluster.name', k8s_cluster_name::String,
        'k8s.node.name', k8s_node_name, 'hw.id', hw_id)) AS ResourceAttributes,
    mapConcat(attributes::Map(String, String), map(
        'event_id', toString(event_id), 'signal', signal::String, 'statistic', statistic::String,
        'status', toString(status), 'detector', detector::String)) AS LogAttributes
FROM {database}.anomaly_events FINAL;
