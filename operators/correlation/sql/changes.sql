-- changes that may have caused something after {since:Int64} (Unix ms), revisions merged
SELECT
    change_id, change_type::String AS change_type, status, toUnixTimestamp64Milli(occurred_at) AS at_ms,
    expected, to_ref, rollback_ref,
    mapFilter((k, v) -> v != '', map(
        'environment', deployment_environment_name::String, 'service', service_name::String,
        'service_version', service_version::String, 'region', cloud_region::String,
        'cluster', k8s_cluster_name::String, 'node', k8s_node_name, 'replica', service_instance_id,
        'gpu', hw_id, 'gpu_model', hw_model::String, 'provider', gen_ai_provider_name::String,
        'request_model', gen_ai_request_model::String, 'prompt_version', gen_ai_prompt_version::String,
        'route', route::String, 'task', task::String, 'tenant_hash', tenant_hash)) AS target
FROM change_events
WHERE occurred_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY occurred_at, change_id
