-- how far event time has come (the newest revision or closed bucket) and when something was last told, Unix ms
SELECT
    toInt64(greatest(
        (SELECT max(toUnixTimestamp64Milli(updated_at)) FROM anomaly_events),
        (SELECT max(toUnixTimestamp64Milli(bucket_start) + 1000 * bucket_s) FROM signal_buckets))) AS now_ms,
    toInt64((SELECT max(toUnixTimestamp64Milli(last_seen_at)) FROM incidents)) AS told_ms
