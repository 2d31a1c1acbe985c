-- how far event time has come, Unix ms: the newest revision or closed bucket
SELECT toInt64(greatest(
    (SELECT max(toUnixTimestamp64Milli(updated_at)) FROM anomaly_events),
    (SELECT max(toUnixTimestamp64Milli(bucket_start) + 1000 * bucket_s) FROM signal_buckets))) AS now_ms
