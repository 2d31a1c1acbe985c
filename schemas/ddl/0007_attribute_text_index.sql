-- requires: 26.2
ALTER TABLE {database}.anomaly_events
ADD INDEX IF NOT EXISTS idx_attribute_items arrayMap(t -> concat(t.1, '=', t.2), attributes::Array(Tuple(String, String))) TYPE text(tokenizer = 'array');
