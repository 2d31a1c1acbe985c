-- requests completed and tokens produced on one slice between {start:Int64} and {end:Int64} (Unix ms)
SELECT
    toFloat64(sumIf(samples, signal = 'gen_ai.server.completions')) AS requests,
    sumIf(sum_steps * step, signal = 'gen_ai.usage.output_tokens') AS tokens
FROM signal_buckets FINAL
WHERE signal IN ('gen_ai.server.completions', 'gen_ai.usage.output_tokens') AND attribute = ''
  AND bucket_start >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
  AND bucket_start < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
  AND slice = {slice:String} AND service_name = {service:String} AND gen_ai_request_model = {request_model:String}
  AND service_version = {service_version:String} AND service_instance_id = {replica:String}
  AND cloud_region = {region:String} AND route = {route:String}
