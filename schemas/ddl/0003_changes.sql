-- every revision of every change, as it came; absent fields are ''
CREATE TABLE IF NOT EXISTS {database}.change_revisions
(
    change_id         String,
    event_time        DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    change_type       Enum8('deployment' = 1, 'config' = 2, 'model_swap' = 3, 'feature_flag' = 4, 'infra' = 5, 'prompt' = 6, 'route' = 7, 'embedder' = 8, 'maintenance' = 9),
    status            LowCardinality(String),
    summary           String CODEC(ZSTD(1)),
    from_ref          String CODEC(ZSTD(1)),
    to_ref            String CODEC(ZSTD(1)),
    rollback_ref      String CODEC(ZSTD(1)) COMMENT 'the change_id this one undoes',
    expected          Nullable(Bool),
    ends_at           Nullable(DateTime64(3, 'UTC')),
    author            String CODEC(ZSTD(1)),
    url               String CODEC(ZSTD(1)),
    deployment_environment_name LowCardinality(String),
    service_name      LowCardinality(String),
    service_version   LowCardinality(String),
    cloud_region      LowCardinality(String),
    k8s_cluster_name  LowCardinality(String),
    k8s_node_name     String CODEC(ZSTD(1)),
    service_instance_id String CODEC(ZSTD(1)),
    hw_id             String CODEC(ZSTD(1)),
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
    tenant_hash       String CODEC(ZSTD(1)),
    session_hash      String CODEC(ZSTD(1)),
    producer          LowCardinality(String),
    ingested_at       DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (change_id, event_time, status)
TTL toDateTime(ingested_at) + INTERVAL 365 DAY
SETTINGS non_replicated_deduplication_window = 1000;

-- one row per change: the first time stands, and an absent field keeps the value it had
CREATE VIEW IF NOT EXISTS {database}.change_events AS
WITH revisions AS
(
    SELECT *, (event_time, status) AS at FROM {database}.change_revisions FINAL
)
SELECT
    change_id,
    min(event_time) AS occurred_at,
    max(event_time) AS updated_at,
    argMax(change_type, at) AS change_type,
    if(countIf(status != '') = 0, 'succeeded', argMaxIf(status, at, status != '')) AS status,
    argMaxIf(summary, at, summary != '') AS summary,
    argMaxIf(from_ref, at, from_ref != '') AS from_ref,
    argMaxIf(to_ref, at, to_ref != '') AS to_ref,
    argMaxIf(rollback_ref, at, rollback_ref != '') AS rollback_ref,
    argMaxIf(author, at, author != '') AS author,
    argMaxIf(url, at, url != '') AS url,
    argMaxIf(deployment_environment_name, at, deployment_environment_name != '') AS deployment_environment_name,
    argMaxIf(service_name, at, service_name != '') AS service_name,
    argMaxIf(service_version, at, service_version != '') AS service_version,
    argMaxIf(cloud_region, at, cloud_region != '') AS cloud_region,
    argMaxIf(k8s_cluster_name, at, k8s_cluster_name != '') AS k8s_cluster_name,
    argMaxIf(k8s_node_name, at, k8s_node_name != '') AS k8s_node_name,
    argMaxIf(service_instance_id, at, service_instance_id != '') AS service_instance_id,
    argMaxIf(hw_id, at, hw_id != '') AS hw_id,
    argMaxIf(hw_model, at, hw_model != '') AS hw_model,
    argMaxIf(tp_group, at, tp_group != '') AS tp_group,
    argMaxIf(gen_ai_provider_name, at, gen_ai_provider_name != '') AS gen_ai_provider_name,
    argMaxIf(gen_ai_request_model, at, gen_ai_request_model != '') AS gen_ai_request_model,
    argMaxIf(gen_ai_response_model, at, gen_ai_response_model != '') AS gen_ai_response_model,
    argMaxIf(quantization, at, quantization != '') AS quantization,
    argMaxIf(gen_ai_prompt_version, at, gen_ai_prompt_version != '') AS gen_ai_prompt_version,
    argMaxIf(decode_params_hash, at, decode_params_hash != '') AS decode_params_hash,
    argMaxIf(route, at, route != '') AS route,
    argMaxIf(task, at, task != '') AS task,
    argMaxIf(tenant_hash, at, tenant_hash != '') AS tenant_hash,
    argMaxIf(session_hash, at, session_hash != '') AS session_hash,
    argMaxIf(producer, at, producer != '') AS producer,
    coalesce(argMaxIf(expected, at, isNotNull(expected)), false) AS expected,
    argMaxIf(ends_at, at, isNotNull(ends_at)) AS ends_at,
    max(ingested_at) AS ingested_at
FROM revisions
GROUP BY change_id;
