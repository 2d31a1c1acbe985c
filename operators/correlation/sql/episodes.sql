-- the latest revision of every event that was alive after {since:Int64} (Unix ms)
SELECT * FROM anomaly_events FINAL
WHERE window_end >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY detected_at, event_id
