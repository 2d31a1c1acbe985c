-- the latest version of every incident that was alive after {since:Int64} (Unix ms)
SELECT * FROM incidents FINAL
WHERE last_seen_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY detected_at, incident_id
