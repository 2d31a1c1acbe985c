-- one row per (slice, topic, signal, attribute, bucket), as closed: the additive sketch, no statistic
CREATE TABLE IF NOT EXISTS {database}.signal_buckets
(
    bucket_start      DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    bucket_s          UInt32 COMMENT 'length in seconds',
    topic             LowCardinality(String),
    signal            LowCardinality(String),
    attribute         LowCardinality(String) COMMENT 'value of a signal by attribute, '''' for the whole',
    unit              LowCardinality(String),
    samples           Int64 CODEC(T64, ZSTD(1)) COMMENT 'for ratios: trials',
    sum_steps         Int64 CODEC(T64, ZSTD(1)) COMMENT 'sum of the values in multiples of step, exact; ratios of yes/no: hits',
    step              Float64 CODEC(ZSTD(1)),
    value_sum         Float64 ALIAS sum_steps * step,
    value_min         Nullable(Float64) CODEC(ZSTD(1)),
    value_max         Nullable(Float64) CODEC(ZSTD(1)),
    bins              Array(Int32) CODEC(ZSTD(1)) COMMENT 'log histogram: bin i holds values in (g^(i-1), g^i], g = 1.02/0.98; -32768: zero',
    bin_counts        Array(Int64) CODEC(ZSTD(1)),
    deployment_environment_name LowCardinality(String),
    service_name      LowCardinality(String),
    service_version   LowCardinality(String),
    cloud_region      LowCardinality(String),
    k8s_cluster_name  LowCardinality(String),
    k8s_node_name     LowCardinality(String),
    service_instance_id LowCardinality(String),
    hw_id             LowCardinality(String),
    hw_model          LowCardinality(String),
    tp_group          LowCardinality(String),
    gen_ai_provider_name LowCardinality(String),
    gen_ai_request_model LowCardinality(String),
    gen_ai_response_model LowCardinality(String),
    quantization      LowCardinality(String),
    gen_ai_prompt_version LowCardinality(String),
    decode_params_hash LowCardinality(String),
    route             LowCardinality(String),
    task              LowCardinality(String),
    tenant_hash       LowCardinality(String),
    session_hash      LowCardinality(String),
    producer          LowCardinality(String),
    slice             LowCardinality(String) COMMENT 'identity fields the row is for, by comma; slices overlap: add up rows of one slice only',
    series            UInt64 MATERIALIZED cityHash64(topic, signal, attribute, bucket_s, deployment_environment_name, service_name, service_version, cloud_region, k8s_cluster_name, k8s_node_name, service_instance_id, hw_id, hw_model, tp_group, gen_ai_provider_name, gen_ai_request_model, gen_ai_response_model, quantization, gen_ai_prompt_version, decode_params_hash, route, task, tenant_hash, session_hash, producer),
    ingested_at       DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(bucket_start)
ORDER BY (signal, service_name, gen_ai_request_model, series, bucket_start)
TTL toDateTime(ingested_at) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- minutes of one slice each, with quantiles read off the merged histogram (2 % relative error)
CREATE VIEW IF NOT EXISTS {database}.signal_rollup_1m AS
WITH
    sumMap(bins, bin_counts) AS histogram,
    arrayCumSum(histogram.2) AS below,
    if(empty(below), 0, below[-1]) AS binned,
    q -> histogram.1[arrayFirstIndex(c -> c >= q * binned, below)] AS bin_at,
    b -> if(b = -32768, 0, pow(1.02 / 0.98, b - 0.5)) AS value_of
SELECT
    toStartOfMinute(bucket_start) AS minute, topic, signal, attribute, unit, slice,
    deployment_environment_name, service_name, service_version, cloud_region, k8s_cluster_name, k8s_node_name, service_instance_id, hw_id, hw_model, tp_group, gen_ai_provider_name, gen_ai_request_model, gen_ai_response_model, quantization, gen_ai_prompt_version, decode_params_hash, route, task, tenant_hash, session_hash, producer,
    sum(samples) AS samples,
    sum(sum_steps) * any(step) AS value_sum,
    min(value_min) AS value_min,
    max(value_max) AS value_max,
    if(binned = 0, NULL, value_of(bin_at(0.5))) AS p50,
    if(binned = 0, NULL, value_of(bin_at(0.95))) AS p95,
    if(binned = 0, NULL, value_of(bin_at(0.99))) AS p99
FROM {database}.signal_buckets FINAL
GROUP BY minute, topic, signal, attribute, unit, slice,
    deployment_environment_name, service_name, service_version, cloud_region, k8s_cluster_name, k8s_node_name, service_instance_id, hw_id, hw_model, tp_group, gen_ai_provider_name, gen_ai_request_model, gen_ai_response_model, quantization, gen_ai_prompt_version, decode_params_hash, route, task, tenant_hash, session_hash, producer;
