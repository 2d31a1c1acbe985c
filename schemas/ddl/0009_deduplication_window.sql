-- a writer that was cut off and comes back late still finds its tokens, though others wrote on
ALTER TABLE {database}.anomaly_events MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE {database}.anomaly_windows MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE {database}.change_revisions MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE {database}.topology_edges MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE {database}.signal_buckets MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE {database}.incidents MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE {database}.ingest_accounts MODIFY SETTING non_replicated_deduplication_window = 10000;
